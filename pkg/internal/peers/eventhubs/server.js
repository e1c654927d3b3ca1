// A stand-in for Event Hubs: AMQP 1.0 for the official clients, on 127.0.0.1, without TLS, tokens or persistence.
//
//   node server.js PORT HUB:PARTITIONS[,HUB:PARTITIONS...] [EVENTS]
//
// EVENTS is a file with a line for each event that is there from the beginning:
//   {"hub": "signins", "partition": "0", "enqueued": 1772409600000, "body": "...", "sequence": 1000}
// sequence counts for the first event of a partition: what came before has left the retention.
//
// It does what Event Hubs does with consumer groups (any exists), epochs, at most five other readers, start positions,
// batches and the management node. It does not throttle.
import { readFileSync } from 'node:fs';
import rhea from 'rhea';

const [port, hubSpecs, preload] = process.argv.slice(2);
const { types } = rhea;
const MAX_MESSAGE = 1024 * 1024;
const MAX_READERS = 5;

/** A partition is a log. Its events are encoded messages, ready to be sent. */
class Partition {
  begin = 0; // sequence number of the first event
  events = []; // {time, message}
  readers = new Set();

  append(sections, body, time) {
    const sequence = this.begin + this.events.length;
    this.events.push({ time, message: encode(sections, body, sequence, time) });
  }
  get last() { return this.begin + this.events.length - 1; }
}

const hubs = new Map(hubSpecs.split(',').map((spec) => {
  const [name, n] = spec.split(':');
  return [name, { created: Date.now(), partitions: Array.from({ length: Number(n) }, () => new Partition()), next: 0 }];
}));

// --- Encoding: message annotations in front of what the sender wrote.

function encode(sections, body, sequence, time) {
  const annotations = [];
  const symbol = (s) => Buffer.concat([Buffer.from([0xa3, s.length]), Buffer.from(s)]);
  const long = (code, v) => { const b = Buffer.alloc(9); b[0] = code; b.writeBigInt64BE(BigInt(v), 1); return b; };
  const text = (s) => { const b = Buffer.from(s); return Buffer.concat([Buffer.from([0xa1, b.length]), b]); };
  annotations.push(symbol('x-opt-sequence-number'), long(0x81, sequence));
  annotations.push(symbol('x-opt-offset'), text(String(sequence * 100)));
  annotations.push(symbol('x-opt-enqueued-time'), long(0x83, time));
  if (sections.key !== undefined) annotations.push(symbol('x-opt-partition-key'), text(sections.key));
  const items = Buffer.concat(annotations);
  const head = Buffer.alloc(12);
  head.set([0x00, 0x53, 0x72, 0xd1]);
  head.writeUInt32BE(items.length + 4, 4);
  head.writeUInt32BE(annotations.length, 8);
  return Buffer.concat([...sections.before, head, items, ...sections.after, body]);
}

function dataSection(bytes) {
  const head = Buffer.alloc(8);
  head.set([0x00, 0x53, 0x75, 0xb0]);
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

/** The sections of an encoded message: [code, bytes with descriptor, value]. */
function* sectionsOf(b) {
  for (let at = 0; at < b.length;) {
    if (b[at] !== 0x00 || b[at + 1] !== 0x53) throw new Error('a section is expected at ' + at);
    const code = b[at + 2], type = b[at + 3];
    let start = at + 4, end;
    switch (type) {
      case 0x45: end = start; break;
      case 0xa0: case 0xc0: case 0xc1: end = start + 1 + b[start]; start += 1; break;
      case 0xb0: case 0xd0: case 0xd1: end = start + 4 + b.readUInt32BE(start); start += 4; break;
      default: throw new Error('a section has type 0x' + type.toString(16));
    }
    yield [code, b.subarray(at, end), b.subarray(start, end)];
    at = end;
  }
}

/** Takes a published message, or a batch of them, apart. */
function events(raw, format) {
  const one = (b) => {
    const out = { before: [], after: [], key: undefined, body: Buffer.alloc(0) };
    for (const [code, whole] of sectionsOf(b)) {
      if (code === 0x70 || code === 0x71) out.before.push(whole);
      else if (code === 0x72) out.key = partitionKey(whole) ?? out.key;
      else out.after.push(whole);
    }
    return out;
  };
  if (format !== 0x80013700) return [one(raw)];
  const out = [];
  let key;
  for (const [code, whole, value] of sectionsOf(raw)) {
    if (code === 0x72) key = partitionKey(whole) ?? key;
    if (code === 0x75) out.push(one(value));
  }
  for (const e of out) e.key ??= key;
  return out;
}

function partitionKey(section) {
  return rhea.message.decode(Buffer.from(section)).message_annotations?.['x-opt-partition-key'];
}

// --- Preloading.

if (preload) {
  for (const line of readFileSync(preload, 'utf8').split('\n')) {
    if (!line) continue;
    const e = JSON.parse(line);
    const p = hubs.get(e.hub).partitions[Number(e.partition)];
    if (p.events.length === 0 && e.sequence !== undefined) p.begin = e.sequence;
    p.append({ before: [], after: [] }, dataSection(Buffer.from(e.body)), e.enqueued);
  }
}

// --- Serving.

const container = rhea.create_container({ id: 'event-hubs-stand-in' });
const repliers = new WeakMap(); // connection: the links on which answers go out

container.on('sender_open', ({ sender, connection }) => {
  const source = sender.source;
  const address = source.address ?? '';
  if (address === '$cbs' || address === '$management' || address.endsWith('/$management')) {
    sender.set_source(source);
    sender.set_target(sender.target);
    const all = repliers.get(connection) ?? [];
    repliers.set(connection, [...all, sender]);
    return;
  }
  const m = /^([^/]+)\/ConsumerGroups\/([^/]+)\/Partitions\/(\d+)$/.exec(address);
  const partition = m && hubs.get(m[1])?.partitions[Number(m[3])];
  if (!partition) {
    sender.close({ condition: 'amqp:not-found', description: `there is no ${address}` });
    return;
  }
  const epoch = sender.remote.attach.properties?.['com.microsoft:epoch'];
  const reader = { sender, group: m[2], epoch: epoch === undefined ? undefined : Number(epoch), at: 0 };
  const others = [...partition.readers].filter((r) => r.group === reader.group);
  if (reader.epoch === undefined) {
    if (others.some((r) => r.epoch !== undefined)) {
      sender.close({ condition: 'amqp:link:stolen', description: 'a receiver with an epoch reads the partition' });
      return;
    }
    if (others.length >= MAX_READERS) {
      sender.close({ condition: 'amqp:resource-limit-exceeded', description: 'the partition has five readers' });
      return;
    }
  } else {
    if (others.some((r) => r.epoch > reader.epoch)) {
      sender.close({ condition: 'amqp:link:stolen', description: 'a receiver with a higher epoch reads the partition' });
      return;
    }
    for (const r of others) {
      partition.readers.delete(r);
      r.sender.close({ condition: 'amqp:link:stolen', description: 'a receiver with a higher epoch has come' });
    }
  }
  try {
    reader.at = position(partition, source.filter);
  } catch (err) {
    sender.close({ condition: 'amqp:invalid-field', description: err.message });
    return;
  }
  sender.set_source(source);
  sender.set_target(sender.target);
  sender.reader = reader;
  sender.partition = partition;
  partition.readers.add(reader);
});

/** The index of the first event that a filter lets through. */
function position(p, filter) {
  let f = filter?.['apache.org:selector-filter:string'];
  while (f && typeof f === 'object' && 'value' in f) f = f.value;
  const m = /x-opt-(sequence-number|offset|enqueued-time) (>=?) '([^']*)'/.exec(String(f ?? "x-opt-offset > '@latest'"));
  if (!m) throw new Error(`the filter ${f} is not known`);
  const [, what, op, value] = m;
  if (value === '@latest') return p.events.length;
  if (value === '-1') return 0;
  const n = Number(value), extra = op === '>' ? 1 : 0;
  if (what === 'enqueued-time') {
    const i = p.events.findIndex((e) => e.time >= n + extra);
    return i < 0 ? p.events.length : i;
  }
  const sequence = what === 'offset' ? n / 100 : n;
  return Math.min(Math.max(sequence + extra - p.begin, 0), p.events.length);
}

function pump(partition, reader) {
  const { sender } = reader;
  while (sender.sendable() && reader.at < partition.events.length) {
    sender.send(partition.events[reader.at].message, undefined, 0);
    reader.at++;
  }
}

container.on('sendable', ({ sender }) => { if (sender.reader) pump(sender.partition, sender.reader); });
container.on('sender_draining', ({ sender }) => { sender.set_drained?.(true); });

function leave({ sender, connection }) {
  if (sender?.reader) sender.partition.readers.delete(sender.reader);
  else if (sender) repliers.set(connection, (repliers.get(connection) ?? []).filter((s) => s !== sender));
}
container.on('sender_close', leave);
container.on('session_close', () => {});

function gone({ connection }) {
  for (const hub of hubs.values()) {
    for (const p of hub.partitions) {
      for (const r of p.readers) if (r.sender.connection === connection) p.readers.delete(r);
    }
  }
}
container.on('connection_close', gone);
container.on('disconnected', gone);
for (const quiet of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'protocol_error', 'error']) {
  container.on(quiet, () => {});
}

container.on('receiver_open', ({ receiver }) => {
  const address = receiver.target.address ?? '';
  const [hub, , partition] = address.split('/');
  const known = address === '$cbs' || address.endsWith('$management') ||
    hubs.has(hub) && (partition === undefined || hubs.get(hub).partitions[Number(partition)]);
  if (!known) {
    receiver.close({ condition: 'amqp:not-found', description: `there is no ${address}` });
    return;
  }
  receiver.local.attach.max_message_size = MAX_MESSAGE;
  receiver.set_source(receiver.source);
  receiver.set_target(receiver.target);
});

container.on('message', ({ message, receiver, connection, delivery }) => {
  const address = receiver.target.address ?? '';
  if (address === '$cbs') {
    answer(connection, message, 202);
    delivery.accept();
    return;
  }
  if (address.endsWith('$management')) {
    manage(connection, message);
    delivery.accept();
    return;
  }
  const [name, , chosen] = address.split('/');
  const hub = hubs.get(name);
  const raw = Buffer.isBuffer(message) ? message : rhea.message.encode(message);
  const list = events(raw, delivery.format ?? 0);
  const key = list[0]?.key;
  const i = chosen !== undefined ? Number(chosen) : key !== undefined ? hash(key) % hub.partitions.length : hub.next++ % hub.partitions.length;
  const partition = hub.partitions[i];
  for (const e of list) partition.append(e, e.body, Date.now());
  delivery.accept();
  for (const r of partition.readers) pump(partition, r);
});

function hash(text) {
  let h = 2166136261;
  for (const c of Buffer.from(String(text))) h = Math.imul(h ^ c, 16777619) >>> 0;
  return h;
}

function answer(connection, request, status, body) {
  const to = (repliers.get(connection) ?? []).find((s) =>
    s.target?.address === request.reply_to || s.name === request.reply_to);
  to?.send({
    correlation_id: request.message_id,
    application_properties: { 'status-code': types.wrap_int(status), 'status-description': status < 300 ? 'OK' : 'not found' },
    body: body ?? '',
  });
}

function manage(connection, request) {
  const { name, type, partition } = request.application_properties ?? {};
  const hub = hubs.get(name);
  if (!hub) return answer(connection, request, 404);
  if (type === 'com.microsoft:eventhub') {
    return answer(connection, request, 200, types.wrap_map({
      name, created_at: types.wrap_timestamp(hub.created),
      partition_ids: types.wrap_array(hub.partitions.map((_, i) => String(i)), 0xa1),
      georeplication_factor: types.wrap_int(1),
    }));
  }
  const p = hub.partitions[Number(partition)];
  if (!p) return answer(connection, request, 404);
  return answer(connection, request, 200, types.wrap_map({
    name, partition: String(partition),
    begin_sequence_number: types.wrap_long(p.begin), last_enqueued_sequence_number: types.wrap_long(p.last),
    last_enqueued_offset: String(Math.max(p.last, 0) * 100),
    last_enqueued_time_utc: types.wrap_timestamp(p.events.at(-1)?.time ?? 0),
    is_partition_empty: p.events.length === 0,
  }));
}

container.listen({
  host: '127.0.0.1', port: Number(port), noDelay: true, tcp_no_delay: true,
  max_frame_size: 65536, receiver_options: { autoaccept: false, credit_window: 1000 },
  sender_options: { snd_settle_mode: 1 },
});
