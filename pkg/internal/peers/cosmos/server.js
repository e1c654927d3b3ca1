// Serves npm's @vercel/cosmosdb-server on 127.0.0.1, with what it gets wrong and what the store depends on put right around it.
// README.md lists both. Usage: node server.js PORT
//
// Its routes capture the handlers when they are first loaded, so the handlers are replaced before that.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const lib = "@vercel/cosmosdb-server/lib/";
const load = name => require(lib + name);

const json = load("json").default;
const readItems = load("handler/_read-items").default;
const operations = load("handler/_document-operations");
const patches = load("handler/_patch-operations");

const most = 2 * 1024 * 1024;
const partitionHeader = "x-ms-documentdb-partitionkey";

// The test may set the clock, by which documents expire, in seconds since 1970.
const now = req => Number(req.headers["x-test-clock"] ?? Date.now() / 1000);

const partitionOf = req => {
  const header = req.headers[partitionHeader];
  const values = header ? JSON.parse(header) : [];
  return values.length > 0 ? values[0] : undefined;
};

// What has outlived its time to live is gone.
function expire(collection, req) {
  const { defaultTtl } = collection.read();
  if (defaultTtl === undefined) return;
  for (const item of [...collection.documents._data.values()]) {
    const doc = item.read();
    const ttl = doc.ttl ?? defaultTtl;
    if (ttl > 0 && doc._ts + ttl <= now(req)) {
      collection.documents.delete(doc.id, collection.documents._getPartition(doc));
    }
  }
}

function problem(res, status, message, sub) {
  res.statusCode = status;
  if (sub) res.setHeader("x-ms-substatus", sub);
  return { code: String(status), message };
}

// replace puts handle before the package's own handler of the name. It gets the collection, from which the expired is gone.
function replace(name, handle) {
  const module = load("handler/" + name);
  const original = module.default;
  module.default = async (account, req, res, params) => {
    const collection = account.database(params.dbId).collection(params.collId);
    if (!collection.read()) return problem(res, 404, "there is no such container", "1003");
    expire(collection, req);
    return handle({ collection, req, res, params, original: () => original(account, req, res, params) });
  };
}

const tooLarge = ({ req, res, original }) =>
  Number(req.headers["content-length"] ?? 0) > most ? problem(res, 413, "the document is too large") : original();

replace("create-document", tooLarge);
replace("upsert-document", tooLarge);
replace("replace-document", tooLarge);
replace("delete-document", ({ original }) => original());

// A missing document made it throw.
replace("read-document", ({ collection, req, res, params, original }) =>
  collection.document(params.docId, partitionOf(req)).read() ? original() : problem(res, 404, "there is no such document"));

// The id of a range is a string.
replace("read-partition-key-ranges", async ({ original }) => {
  const body = await original();
  return { ...body, PartitionKeyRanges: (body.PartitionKeyRanges ?? []).map(r => ({ ...r, id: String(r.id) })) };
});

// A query with a partition key sees that partition alone.
replace("query-documents", async ({ collection, req, res, original }) => {
  const key = partitionOf(req);
  if (key === undefined) return original();
  return readItems(req, res, "Documents", async page => {
    const body = await json(req);
    const documents = collection.documents;
    const all = documents._data;
    documents._data = new Map([...all].filter(([, item]) => documents._getPartition(item.read()) === key));
    try {
      return documents.query(body, page);
    } catch (err) {
      if (!err.badRequest) throw err;
      return problem(res, 400, err.message);
    } finally {
      documents._data = all;
    }
  });
});

// A batch is of one partition, which the header names, and takes effect as a whole or not at all.
replace("batch-documents", async ({ collection, req, res }) => {
  if (Number(req.headers["content-length"] ?? 0) > most) return problem(res, 413, "the batch is too large");
  const input = await json(req);
  const documents = collection.documents;
  const before = [new Map(documents._data), new Map(documents._index)];
  const partitionKey = req.headers[partitionHeader];
  const results = [];
  for (const op of input) {
    const result = perform(collection, { ...op, partitionKey });
    results.push({
      statusCode: result.statusCode, requestCharge: 1, eTag: result.body?._etag,
      resourceBody: op.operationType === "Read" ? result.body : undefined,
    });
    if (result.statusCode < 400) continue;
    [documents._data, documents._index] = before;
    res.statusCode = 207;
    const failed = { statusCode: 424, requestCharge: 0 };
    return input.map((_, i) => (i === results.length - 1 ? { statusCode: result.statusCode, requestCharge: 1 } : failed));
  }
  return results;
});

function perform(collection, op) {
  switch (op.operationType) {
    case "Create": return operations.createOperation(collection, op);
    case "Upsert": return operations.upsertOperation(collection, op);
    case "Read": return operations.readOperation(collection, op);
    case "Delete": return operations.deleteOperation(collection, op);
    case "Replace": return replaceNamed(collection, op);
    case "Patch": return patch(collection, op);
    default: return { statusCode: 400 };
  }
}

// The document that is replaced is named by the operation, not by the new body.
function replaceNamed(collection, op) {
  return op.id === op.resourceBody?.id ? operations.replaceOperation(collection, op) : { statusCode: 400 };
}

function patch(collection, op) {
  const list = op.resourceBody?.operations ?? op.resourceBody;
  return patches.patchOperation(collection, { ...op, operations: list, condition: op.resourceBody?.condition });
}

const [port] = process.argv.slice(2);
require("@vercel/cosmosdb-server").createHttpServer({ keepAlive: true }).listen(Number(port), "127.0.0.1");
