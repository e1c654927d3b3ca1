// Reads a request {"headers": …, "body": …, "secrets": […], "wrong": …} and prints what the libraries of Standard Webhooks and of
// CloudEvents make of it: which of the secrets verify, and the event.
import { HTTP } from "cloudevents";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { headers, body, secrets, wrong } = JSON.parse(readFileSync(0, "utf8"));
function verifies(secret, text) {
  try {
    new Webhook(secret).verify(text, headers);
    return true;
  } catch {
    return false;
  }
}
const event = HTTP.toEvent({ headers, body });
event.validate();
console.log(JSON.stringify({
  secrets: secrets.map((s) => verifies(s, body)), wrong: verifies(wrong, body), tampered: verifies(secrets[0], body + " "),
  id: event.id, type: event.type, source: event.source, data: event.data,
}));
