// Validates the documents with the schema, both from the standard input as {"schema": …, "documents": {NAME: …}}, and prints
// the errors by name.
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { readFileSync } from "node:fs";

const { schema, documents } = JSON.parse(readFileSync(0, "utf8"));
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, strictRequired: false });
formats(ajv);
const valid = ajv.compile(schema);
const errors = {};
for (const [name, document] of Object.entries(documents)) {
  errors[name] = valid(document) ? [] : valid.errors;
}
console.log(JSON.stringify(errors));
