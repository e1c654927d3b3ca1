// Reads requests for Teams by name and prints what the Adaptive Cards library of Microsoft finds fault with in each, as a
// host of version 1.4. What it does not know, or knows as of a later version, it leaves out when it writes the card again: each
// such property is a fault, too.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AC = createRequire(import.meta.url)("adaptivecards/dist/adaptivecards.js");

// lost names what of a card is not, or is not the same, in what was written again. Words for a choice are in any case.
function lost(had, has, path) {
  if (had === null || typeof had !== "object") {
    const same = typeof had === "string" && typeof has === "string" ? had.toLowerCase() === has.toLowerCase() : had === has;
    return same ? [] : [`${path}: ${JSON.stringify(had)} is read as ${JSON.stringify(has)}`];
  }
  return Object.keys(had).flatMap((key) =>
    // The library writes its own schema, and does not know what is for Teams alone.
    path === "" && ["$schema", "msteams"].includes(key) ? [] : lost(had[key], has?.[key], `${path}/${key}`));
}

const faults = {};
for (const [name, request] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const content = request.attachments[0].content;
  const context = new AC.SerializationContext(AC.Versions.v1_4);
  const card = new AC.AdaptiveCard();
  card.parse(content, context);
  faults[name] = card.validateProperties().validationEvents.map((e) => e.message);
  for (let i = 0; i < context.eventCount; i++) faults[name].push(context.getEventAt(i).message);
  faults[name].push(...lost(content, card.toJSON(new AC.SerializationContext(AC.Versions.v1_4)), ""));
}
console.log(JSON.stringify(faults));
