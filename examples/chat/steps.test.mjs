/**
 * The chat example, step by step: bob listens to cats, eve to dogs, somebody to the rooms, and psql follows
 * with TAIL. After every step each holds, byte for byte, what psql reads from the view.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gatewayPort, Psql, silence, subscriber, until } from '../../client/test/server.js';
import { changesOf, compare, loaded } from '../steps.mjs';

const kSkip = gatewayPort ? false : 'needs a server: run it with make check-one T=steps';

const id = (n) => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;
const kCats = id('c1');
const kImage = 'images/myphoto.jpg';

const kFeed = 'SELECT * FROM chat_feed';
const kRoom = 'SELECT chat_id, channel, messages::text, last_at FROM chat_room';

let writer;
let tail;
let bob;
let eve;
let rooms;

before(async () => {
	if (kSkip) return;
	writer = await loaded(new URL('chat.sql', import.meta.url));
	await writer.run('GRANT chat_anon TO tester');
	tail = new Psql();
});

after(() => {
	for (const session of [writer, tail]) session?.close();
	for (const one of [bob, eve, rooms]) one?.close();
});

/** Everybody holds what psql reads. */
async function compareAll() {
	await compare(writer, bob, 'chat_feed', `${kFeed} WHERE channel = 'cats'`);
	await compare(writer, eve, 'chat_feed', `${kFeed} WHERE channel = 'dogs'`);
	await compare(writer, rooms, 'chat_room', kRoom);
}

const counts = () =>
	Object.fromEntries([...rooms.live.values()].map(({ channel, messages }) => [channel, Number(messages)]));

const send = (n, message, image = null) =>
	writer.run(`INSERT INTO chat_message (chat_message_id, chat_message_text, chat_message_chat_id, chat_message_user_id,
		chat_message_image_key) VALUES ('${id(n)}', '${message}', '${kCats}', '${id('a')}', ${image ? `'${image}'` : 'NULL'})`);

test('1: snapshots', { skip: kSkip }, async () => {
	bob = await subscriber('chat_feed', { filter: { channel: 'cats' } });
	eve = await subscriber('chat_feed', { filter: { channel: 'dogs' } });
	rooms = await subscriber('public.chat_room');
	const messages = (one) => [...one.live.values()].map((row) => `${row.message}/${row.sender}`).sort();
	assert.deepEqual(messages(bob), ['hello/bob', 'hi/alice']);
	assert.deepEqual(messages(eve), ['woof/eve']);
	assert.deepEqual(counts(), { cats: 2, dogs: 1 });
	assert.deepEqual(bob.live.key, ['message_id']);
	await compareAll();
	for (const one of [bob, eve, rooms]) one.take();
});

test('2: TAIL gives the same content', { skip: kSkip }, async () => {
	await tail.run('BEGIN; DECLARE c CURSOR FOR TAIL chat_feed;');
	const rows = await tail.run('FETCH ALL c');
	assert.deepEqual(rows.map(([, diff, message]) => [diff, message]).sort(), [1, 2, 3].map((n) => ['1', id(n)]));
});

test('3: a message with a picture', { skip: kSkip }, async () => {
	await send(4, 'look', kImage);
	const [[[sign, row]]] = await changesOf(bob);
	assert.equal(sign, '+');
	assert.deepEqual(
		[row.message_id, row.message, row.image, row.image_ready, row.thumb_w, row.thumb_h],
		[id(4), 'look', kImage, false, null, null],
	);
	const [[change]] = await changesOf(rooms);
	assert.equal(change[0], '~');
	assert.equal(change[2].messages, '3');
	await silence(eve, bob, rooms);
	await compareAll();
});

test('4: TAIL gives exactly that row', { skip: kSkip }, async () => {
	const rows = await tail.run('FETCH ALL c');
	assert.deepEqual(rows.map(([, diff, message]) => [diff, message]), [['1', id(4)]]);
	await tail.run('COMMIT');
});

test('5: the upload is reported', { skip: kSkip }, async () => {
	await writer.run(`INSERT INTO bucketevents VALUES ('${kImage}', '{"EventName": "s3:ObjectCreated:Put"}')
		ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value`);
	assert.deepEqual(await changesOf(bob), [[['~', [id(4)], { image_ready: true }]]]);
	await silence(eve, rooms, bob);
	await compareAll();
});

test('6: a thumbnail arrives', { skip: kSkip }, async () => {
	await writer.run(`INSERT INTO media VALUES ('${kImage}', 'thumb', 'image/jpeg', 160, 120, '\\x00')`);
	assert.deepEqual(await changesOf(bob), [[['~', [id(4)], { thumb_w: 160, thumb_h: 120 }]]]);
	await silence(eve, rooms, bob);
	await compareAll();
});

test('7: both are deleted', { skip: kSkip }, async () => {
	await writer.run(`BEGIN; DELETE FROM bucketevents WHERE key = '${kImage}';
		DELETE FROM media WHERE media_key = '${kImage}' AND media_kind = 'thumb'; COMMIT`);
	assert.deepEqual(await changesOf(bob), [
		[['~', [id(4)], { image_ready: false, thumb_w: null, thumb_h: null }]],
	]);
	await silence(eve, rooms, bob);
	await compareAll();
});

test('8: a message is edited, then deleted', { skip: kSkip }, async () => {
	await writer.run(`UPDATE chat_message SET chat_message_text = 'WOOF' WHERE chat_message_id = '${id(3)}'`);
	assert.deepEqual(await changesOf(eve), [[['~', [id(3)], { message: 'WOOF' }]]]);
	await compareAll();
	await writer.run(`DELETE FROM chat_message WHERE chat_message_id = '${id(3)}'`);
	assert.deepEqual(await changesOf(eve), [[['-', [id(3)]]]]);
	const [[change]] = await changesOf(rooms);
	assert.deepEqual([change[0], change[2]], ['~', { messages: '0', last_at: null }]);
	await silence(bob, eve, rooms);
	await compareAll();
});

test('9: bob is cut off, and resumes with the net of what happened', { skip: kSkip }, async () => {
	bob.line.cut();
	await until('bob notices', () => bob.live.state === 'stale');
	await send(5, 'five');
	await send(6, 'six');
	await writer.run(`UPDATE chat_message SET chat_message_text = 'five!' WHERE chat_message_id = '${id(5)}'`);
	await writer.run(`DELETE FROM chat_message WHERE chat_message_id = '${id(6)}'`);
	bob.line.mend();
	await until('bob is back', () => bob.live.state === 'live' && bob.live.size === 4);
	const [answer, ...deltas] = bob.take();
	assert.deepEqual([answer.type, answer.mode, answer.recovered], ['subscribed', 'resume', true]);
	assert.equal(deltas.length, 1);
	assert.equal(deltas[0].changes.length, 1);
	const [[sign, row]] = deltas[0].changes;
	assert.deepEqual([sign, row.message_id, row.message], ['+', id(5), 'five!']);
	assert.ok(!JSON.stringify(bob.all).includes(id(6)), 'message 6 is never sent to bob');
	await silence(eve, bob);
	await until('cats 4', () => counts().cats === 4);
	rooms.take();
	await compareAll();
});

test('10: cats become kittens', { skip: kSkip }, async () => {
	await writer.run("UPDATE chat SET chat_topic = 'kittens' WHERE chat_topic = 'cats'");
	const [changes] = await changesOf(bob);
	assert.deepEqual(
		changes.map(([sign, key]) => [sign, ...key]).sort(),
		[1, 2, 4, 5].map((n) => ['-', id(n)]),
	);
	assert.deepEqual(await changesOf(rooms), [[['~', [kCats], { channel: 'kittens' }]]]);
	await silence(eve, bob, rooms);
	await compareAll();
});

test('the view is its query, and no password was ever sent', { skip: kSkip }, async () => {
	assert.deepEqual(await writer.run("SELECT tailwater.verify('chat_feed'), tailwater.verify('chat_room')"), [['0', '0']]);
	const metrics = await (await fetch(`http://127.0.0.1:${gatewayPort}/metrics`)).text();
	const cluster = process.env.TAILWATER_CLUSTER;
	const log = cluster ? readFileSync(`${cluster}/log`, 'utf8') : '';
	for (const text of [JSON.stringify([bob.all, eve.all, rooms.all]), metrics, log]) {
		assert.ok(!text.includes('user_password'));
		assert.ok(!text.includes('aaaaaaaaaaaaaaaaaaaaaaaa'));
	}
});
