// What an official Node client does with the server, step by step. TestNodeClients
// runs it: node test.mjs PACKAGE CONNECTION-STRING PREFIX
// It fails at the first step that goes wrong.
import assert from "node:assert/strict";

const [name, connection, prefix] = process.argv.slice(2);
const db = await import(name);
const client = (db.EventStoreDBClient ?? db.KurrentDBClient).connectionString(connection);
const { ANY, BACKWARDS, END, FORWARDS, NO_STREAM, START, STREAM_EXISTS } = db;
const { binaryEvent, eventTypeFilter, jsonEvent, streamNameFilter } = db;

const stream = (suffix) => `${prefix}-${suffix}`;
const event = (n, type = "noted") => jsonEvent({ type, data: { n }, metadata: { by: "node" } });
// at is the expected revision, under the name that each of the libraries has for it.
const at = (expectedRevision) => ({ expectedRevision, streamState: expectedRevision });
const patience = 20_000;

async function read(from, options) {
  const all = [];
  for await (const resolved of client.readStream(from, options)) all.push(resolved.event);
  return all;
}

// take waits for n items of a subscription that pass, and ends it.
async function take(subscription, n, pass = () => true) {
  const got = [];
  const timer = setTimeout(() => subscription.unsubscribe(), patience);
  for await (const resolved of subscription) {
    if (pass(resolved) && got.push(resolved.event) === n) break;
  }
  clearTimeout(timer);
  await subscription.unsubscribe();
  assert.equal(got.length, n, "the subscription ended early");
  return got;
}

const steps = {
  async append() {
    const events = [0, 1, 2, 3, 4].map((n) => event(n));
    const first = await client.appendToStream(stream("a"), events, at(NO_STREAM));
    assert.equal(first.success, true);
    assert.equal(first.nextExpectedRevision, 4n);
    assert.ok(first.position.commit > 0n);
    const again = await client.appendToStream(stream("a"), events, at(NO_STREAM));
    assert.equal(again.nextExpectedRevision, 4n, "a repeat has the first one's answer");
    const more = await client.appendToStream(stream("a"), event(5), at(4n));
    assert.equal(more.nextExpectedRevision, 5n);
    await client.appendToStream(stream("a"), event(6), at(STREAM_EXISTS));
    await client.appendToStream(stream("a"), event(7), at(ANY));
  },

  async binary() {
    const data = new Uint8Array([0, 255, 1, 254]);
    await client.appendToStream(stream("binary"), binaryEvent({ type: "raw", data }));
    const [back] = await read(stream("binary"));
    assert.equal(back.isJson, false);
    assert.deepEqual(new Uint8Array(back.data), data);
  },

  async read() {
    const all = await read(stream("a"), { direction: FORWARDS, fromRevision: START });
    assert.deepEqual(all.map((e) => e.data.n), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(all[0].metadata, { by: "node" });
    assert.equal(all[7].revision, 7n);
    assert.ok(Math.abs(Date.now() - new Date(all[0].created).getTime()) < 3_600_000);
    const back = await read(stream("a"), { direction: BACKWARDS, fromRevision: END, maxCount: 2 });
    assert.deepEqual(back.map((e) => e.data.n), [7, 6]);
    const some = await read(stream("a"), { fromRevision: 6n, maxCount: 1 });
    assert.deepEqual(some.map((e) => e.data.n), [6]);
    await assert.rejects(read(stream("missing")), db.StreamNotFoundError);
  },

  async wrongExpectedVersion() {
    const late = client.appendToStream(stream("a"), event(9), at(2n));
    await assert.rejects(late, (error) => {
      assert.ok(error instanceof db.WrongExpectedVersionError);
      assert.equal(error.actualVersion ?? error.actualState, 7n);
      return true;
    });
    await assert.rejects(client.appendToStream(stream("a"), event(9), at(NO_STREAM)), db.WrongExpectedVersionError);
  },

  async readAll() {
    const seen = [];
    for await (const { event } of client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 2_000 })) {
      if (event?.streamId === stream("a")) seen.unshift(event.data.n);
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  },

  async subscribeToStream() {
    const live = take(client.subscribeToStream(stream("b"), { fromRevision: START }), 3);
    await client.appendToStream(stream("b"), [event(0), event(1), event(2)]);
    assert.deepEqual((await live).map((e) => e.data.n), [0, 1, 2]);
    const resumed = await take(client.subscribeToStream(stream("b"), { fromRevision: 1n }), 1);
    assert.deepEqual(resumed.map((e) => e.data.n), [2]);
  },

  async subscribeToAll() {
    const ours = ({ event }) => event?.streamId === stream("c");
    const live = take(client.subscribeToAll({ fromPosition: START }), 2, ours);
    await client.appendToStream(stream("c"), [event(0), event(1)]);
    const [first] = await live;
    const resumed = await take(client.subscribeToAll({ fromPosition: first.position }), 1, ours);
    assert.equal(resumed[0].data.n, 1);
  },

  async filters() {
    await client.appendToStream(stream("f"), [event(0, `${prefix}-x`), event(1, `${prefix}-y`), event(2, `${prefix}-x`)]);
    const numbers = async (filter, n) => (await take(client.subscribeToAll({ fromPosition: START, filter }), n)).map((e) => e.data.n);
    assert.deepEqual(await numbers(streamNameFilter({ prefixes: [stream("f")] }), 3), [0, 1, 2]);
    assert.deepEqual(await numbers(eventTypeFilter({ prefixes: [`${prefix}-x`] }), 2), [0, 2]);
    assert.deepEqual(await numbers(eventTypeFilter({ regex: `^${prefix}-[yz]$` }), 1), [1]);
    let reached;
    const checkpointReached = async (_, position) => { reached = position; };
    await client.appendToStream(stream("noise"), Array.from({ length: 100 }, (_, n) => event(n)));
    await client.appendToStream(stream("late"), event(1));
    const late = streamNameFilter({ prefixes: [stream("late")], maxSearchWindow: 10, checkpointInterval: 1, checkpointReached });
    await take(client.subscribeToAll({ fromPosition: START, filter: late }), 1);
    assert.ok(reached.commit > 0n, "no checkpoint came");
  },

  async metadata() {
    await client.appendToStream(stream("m"), [0, 1, 2, 3, 4].map((n) => event(n)));
    await client.setStreamMetadata(stream("m"), { maxCount: 2, owner: "support" });
    const { metadata } = await client.getStreamMetadata(stream("m"));
    assert.equal(metadata.maxCount, 2);
    assert.equal(metadata.owner, "support");
    assert.deepEqual((await read(stream("m"))).map((e) => e.data.n), [3, 4]);
    await client.setStreamMetadata(stream("m"), { truncateBefore: 4 });
    assert.deepEqual((await read(stream("m"))).map((e) => e.data.n), [4]);
  },

  async deleteStream() {
    await client.appendToStream(stream("d"), [event(0), event(1)]);
    await assert.rejects(client.deleteStream(stream("d"), at(9n)), db.WrongExpectedVersionError);
    await client.deleteStream(stream("d"), at(1n));
    await assert.rejects(read(stream("d")), db.StreamNotFoundError);
    const { nextExpectedRevision } = await client.appendToStream(stream("d"), event(2));
    assert.equal(nextExpectedRevision, 2n);
    assert.deepEqual((await read(stream("d"))).map((e) => e.data.n), [2]);
  },

  async tombstone() {
    await client.appendToStream(stream("t"), event(0));
    await client.tombstoneStream(stream("t"));
    await assert.rejects(read(stream("t")), db.StreamDeletedError);
    await assert.rejects(client.appendToStream(stream("t"), event(1)), db.StreamDeletedError);
  },

  // A server without them says so; a client that turns to HTTP/1 gets no such answer.
  async persistentSubscriptions() {
    const answers = (call) => assert.rejects(call, (error) =>
      error.message.includes("is not served") || error instanceof db.PersistentSubscriptionDoesNotExistError);
    await answers(client.getPersistentSubscriptionToStreamInfo(stream("a"), "group"));
    await answers(client.listPersistentSubscriptionsToStream(stream("a")));
    await answers(client.replayParkedMessagesToStream(stream("a"), "group"));
  },
};

for (const [step, run] of Object.entries(steps)) {
  try {
    await run();
    console.log(`ok ${step}`);
  } catch (error) {
    console.log(`FAILED ${step}: ${error.stack ?? error}`);
    process.exit(1);
  }
}
await client.dispose();
process.exit(0); // a library may keep a timer of its own
