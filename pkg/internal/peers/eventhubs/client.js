// Sends and reads with Microsoft's client for JavaScript. Usage: node client.js CONNECTION HUB N
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs';

const [connection, hub, n] = process.argv.slice(2);
const producer = new EventHubProducerClient(connection, hub);
const batch = await producer.createBatch({ partitionId: '1' });
for (let i = 0; i < Number(n); i++) {
  if (!batch.tryAdd({ body: Buffer.from(`{"n":${i}}`), properties: { i } })) throw new Error('the batch is full');
}
await producer.sendBatch(batch);
const properties = await producer.getPartitionProperties('1');
await producer.close();
const consumer = new EventHubConsumerClient('replay', connection, hub);
const bodies = [];
await new Promise((resolve, reject) => {
  const reading = consumer.subscribe('1', {
    async processEvents(events) {
      for (const e of events) bodies.push([e.sequenceNumber, Buffer.isBuffer(e.body) ? e.body.toString() : JSON.stringify(e.body), e.properties?.i]);
      if (bodies.length >= Number(n)) resolve(reading.close());
    },
    async processError(err) { reject(err); },
  }, { startPosition: earliestEventPosition });
});
await consumer.close();
console.log(JSON.stringify({ last: properties.lastEnqueuedSequenceNumber, bodies }));
