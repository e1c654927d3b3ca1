// Reads requests for Teams by name and prints what the Adaptive Cards library of Microsoft finds fault with in each, as a
// host of version 1.4.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AC = createRequire(import.meta.url)("adaptivecards/dist/adaptivecards.js");
const faults = {};
for (const [name, request] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const context = new AC.SerializationContext(AC.Versions.v1_4);
  const card = new AC.AdaptiveCard();
  card.parse(request.attachments[0].content, context);
  faults[name] = card.validateProperties().validationEvents.map((e) => e.message);
  for (let i = 0; i < context.eventCount; i++) faults[name].push(context.getEventAt(i).message);
}
console.log(JSON.stringify(faults));
