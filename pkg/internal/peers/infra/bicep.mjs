// Parses the files of the standard input, {NAME: TEXT, …}, as Bicep and prints the first error of each file that has one, as
// NAME:LINE:COLUMN: what is wrong.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Language, Parser } from "web-tree-sitter";

await Parser.init();
const grammar = fileURLToPath(import.meta.resolve("tree-sitter-bicep/tree-sitter-bicep.wasm"));
const parser = new Parser();
parser.setLanguage(await Language.load(grammar));

/** The first error below the node, in the order of the text. */
function first(node) {
  if (node.isError || node.isMissing) return node;
  for (const child of node.children) {
    if (child.hasError || child.isMissing) return first(child);
  }
  return node;
}

for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const { rootNode } = parser.parse(text);
  if (!rootNode.hasError) continue;
  const { startPosition: at, isMissing, type } = first(rootNode);
  console.log(`${name}:${at.row + 1}:${at.column + 1}: ${isMissing ? `${type} is missing` : "is not understood"}`);
}
