// Asks a Cosmos DB server what its clients ask, with Microsoft's client for JavaScript, and prints the answers, one a line.
// Usage: node client.js URL KEY; the container is db/things, partitioned by /pk, and empty.
import { CosmosClient } from "@azure/cosmos";

const [endpoint, key] = process.argv.slice(2);
const client = new CosmosClient({ endpoint, key, connectionPolicy: { enableEndpointDiscovery: false, retryOptions: { maxRetryAttemptCount: 0 } } });
const things = client.database("db").container("things");

async function say(about, ask) {
  let answer;
  try {
    answer = await ask();
  } catch (err) {
    answer = err.code ?? String(err);
  }
  console.log(`${about}: ${answer}`);
}

const ids = rows => rows.map(r => r.id ?? r).join(" ");

await say("container", async () => (await things.read()).resource.partitionKey.paths[0]);
await say("create", async () => (await things.items.create({ id: "a", pk: "p", n: 1 })).statusCode);
await say("create again", async () => (await things.items.create({ id: "a", pk: "p" })).statusCode);
await say("the same id elsewhere", async () => (await things.items.create({ id: "a", pk: "q", n: 2 })).statusCode);
await say("read", async () => (await things.item("a", "p").read()).resource.n);
await say("read what is missing", async () => (await things.item("b", "p").read()).statusCode);

const first = (await things.item("a", "p").read().catch(() => ({}))).etag;
const ifMatch = etag => ({ accessCondition: { type: "IfMatch", condition: etag } });
await say("replace", async () => (await things.item("a", "p").replace({ id: "a", pk: "p", n: 3 }, ifMatch(first))).statusCode);
await say("replace by a stale ETag", async () => (await things.item("a", "p").replace({ id: "a", pk: "p", n: 4 }, ifMatch(first))).statusCode);
await say("upsert", async () => (await things.items.upsert({ id: "c", pk: "p", n: 5 })).statusCode);
await say("upsert again", async () => (await things.items.upsert({ id: "c", pk: "p", n: 6 })).statusCode);
await say("query of a partition", async () => {
  const query = { query: "SELECT * FROM c WHERE c.n > @n ORDER BY c.n DESC", parameters: [{ name: "@n", value: 2 }] };
  return ids((await things.items.query(query, { partitionKey: "p" }).fetchAll()).resources);
});
await say("pages", async () => {
  const sizes = [];
  const pages = things.items.query("SELECT * FROM c", { partitionKey: "p", maxItemCount: 1 });
  while (pages.hasMoreResults()) {
    const { resources } = await pages.fetchNext();
    if (resources?.length) sizes.push(resources.length);
  }
  return sizes.join(" ");
});
await say("batch", async () => {
  const { code, result } = await things.items.batch([
    { operationType: "Create", resourceBody: { id: "d", pk: "p" } },
    { operationType: "Replace", id: "c", resourceBody: { id: "c", pk: "p", n: 7 } },
  ], "p");
  return `${code} ${result.map(r => r.statusCode).join(" ")}`;
});
await say("batch with a conflict", async () => {
  const { code, result } = await things.items.batch([
    { operationType: "Create", resourceBody: { id: "e", pk: "p" } },
    { operationType: "Create", resourceBody: { id: "a", pk: "p" } },
  ], "p");
  return `${code} ${result.map(r => r.statusCode).join(" ")}`;
});
await say("what the conflict kept", async () => (await things.item("e", "p").read()).statusCode);
await say("delete", async () => (await things.item("d", "p").delete()).statusCode);
await say("delete again", async () => (await things.item("d", "p").delete()).statusCode);
await say("change feed", async () => {
  const feed = things.items.getChangeFeedIterator({ changeFeedStartFrom: (await import("@azure/cosmos")).ChangeFeedStartFrom.Beginning("p") });
  return ids((await feed.readNext()).result);
});
client.dispose();
