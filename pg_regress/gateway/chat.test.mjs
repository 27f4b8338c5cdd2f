// chat.test.mjs - the chat demonstration: filters, enter and leave, resume.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Client, Mirror, json, role, sql } from './wire.mjs';

const id = n => `00000000-0000-0000-0000-0000000000${n}`;
const cats = [{ col: 'channel', op: 'eq', val: 'cats' }];

const schema = `
DROP SCHEMA IF EXISTS chat_test CASCADE;
CREATE SCHEMA chat_test;
SET search_path = chat_test;
CREATE TABLE chat_user (user_id uuid PRIMARY KEY, user_login text NOT NULL, user_password text NOT NULL);
CREATE TABLE chat (chat_id uuid PRIMARY KEY, chat_topic text NOT NULL UNIQUE);
CREATE TABLE chat_message (chat_message_id uuid PRIMARY KEY, chat_message_datetime timestamptz NOT NULL DEFAULT now(),
	chat_message_text text NOT NULL, chat_message_chat_id uuid NOT NULL REFERENCES chat ON DELETE CASCADE,
	chat_message_user_id uuid NOT NULL REFERENCES chat_user ON DELETE CASCADE, chat_message_image_key text);
CREATE TABLE bucketevents (key text PRIMARY KEY, value jsonb);
CREATE MATERIALIZED VIEW chat_feed WITH (tailwater.maintain = immediate) AS
	SELECT m.chat_message_id AS message_id, c.chat_id, c.chat_topic AS channel, u.user_login AS sender,
		m.chat_message_text AS message, m.chat_message_datetime AS sent_at, m.chat_message_image_key AS image,
		(b.key IS NOT NULL) AS image_ready
	FROM chat_message m JOIN chat c ON c.chat_id = m.chat_message_chat_id
		JOIN chat_user u ON u.user_id = m.chat_message_user_id
		LEFT JOIN bucketevents b ON b.key = m.chat_message_image_key;
CREATE MATERIALIZED VIEW chat_room WITH (tailwater.maintain = immediate) AS
	SELECT c.chat_id, c.chat_topic AS channel, count(m.chat_message_id) AS messages, max(m.chat_message_datetime) AS last_at
	FROM chat c LEFT JOIN chat_message m ON m.chat_message_chat_id = c.chat_id GROUP BY c.chat_id, c.chat_topic;
CREATE UNIQUE INDEX IF NOT EXISTS chat_feed_id ON chat_feed (message_id);
CREATE UNIQUE INDEX IF NOT EXISTS chat_room_id ON chat_room (chat_id);
GRANT USAGE ON SCHEMA chat_test TO ${role};
GRANT SELECT ON chat_feed, chat_room TO ${role};
INSERT INTO chat_user VALUES ('${id('0a')}', 'alice', 'secret-a'), ('${id('0b')}', 'bob', 'secret-b'), ('${id('0e')}', 'eve', 'secret-e');
INSERT INTO chat VALUES ('${id('c1')}', 'cats'), ('${id('c2')}', 'dogs');
INSERT INTO chat_message VALUES
	('${id('01')}', '2024-01-01 10:00+00', 'hi', '${id('c1')}', '${id('0a')}', NULL),
	('${id('02')}', '2024-01-01 10:01+00', 'hello', '${id('c1')}', '${id('0b')}', NULL),
	('${id('03')}', '2024-01-01 10:02+00', 'woof', '${id('c2')}', '${id('0e')}', NULL);`;
const insert = (n, text, room = 'c1', image = 'NULL') =>
	`INSERT INTO chat_test.chat_message VALUES ('${id(n)}', '2024-01-02 10:00+00', '${text}', '${id(room)}', '${id('0a')}', ${image});`;

test('the chat demonstration', async t => {
	await sql(schema);
	t.after(() => sql('DROP SCHEMA chat_test CASCADE'));
	const open = async () => { const c = await Client.open(); await c.next('welcome'); return c; };
	let bob = await open();
	const eve = await open(), rooms = await open();
	const view = 'chat_test.chat_feed';
	let last;

	await t.test('1: subscribe', async () => {
		const answer = await bob.subscribe('b', { view, filter: cats });
		assert.equal(answer.mode, 'snapshot');
		assert.deepEqual(answer.key, ['message_id']);
		assert.deepEqual(answer.rows.map(r => r.message).sort(), ['hello', 'hi']);
		assert.deepEqual((await eve.subscribe('e', { view, filter: [{ col: 'channel', val: 'dogs' }] })).rows.map(r => r.message), ['woof']);
		const counts = (await rooms.subscribe('r', { view: 'chat_test.chat_room' })).rows;
		assert.deepEqual(Object.fromEntries(counts.map(r => [r.channel, r.messages])), { cats: '2', dogs: '1' });
	});

	await t.test('3: a message with an image', async () => {
		await sql(insert('04', 'look', 'c1', `'images/myphoto.jpg'`));
		const delta = await bob.next('delta', 'b');
		assert.equal(delta.changes.length, 1);
		assert.equal(delta.changes[0][0], '+');
		assert.equal(delta.changes[0][1].message_id, id('04'));
		assert.equal(delta.changes[0][1].image_ready, false);
		const room = (await rooms.next('delta', 'r')).changes;
		assert.equal(room.length, 1);
		assert.equal(room[0][0], '~');
		assert.deepEqual(room[0][1], [id('c1')]);
		assert.equal(room[0][2].messages, '3');
		assert.equal('channel' in room[0][2], false);
		await eve.silence('e');
	});

	await t.test('5, 7: the upload is reported and taken back', async () => {
		await sql(`INSERT INTO chat_test.bucketevents VALUES ('images/myphoto.jpg', '{}')`);
		assert.deepEqual((await bob.next('delta', 'b')).changes, [['~', [id('04')], { image_ready: true }]]);
		await sql(`DELETE FROM chat_test.bucketevents`);
		assert.deepEqual((await bob.next('delta', 'b')).changes, [['~', [id('04')], { image_ready: false }]]);
		await eve.silence('e');
		await rooms.silence('r', 0);
	});

	await t.test('8: edit and delete', async () => {
		await sql(`UPDATE chat_test.chat_message SET chat_message_text = 'WOOF' WHERE chat_message_id = '${id('03')}'`);
		assert.deepEqual((await eve.next('delta', 'e')).changes, [['~', [id('03')], { message: 'WOOF' }]]);
		await sql(`DELETE FROM chat_test.chat_message WHERE chat_message_id = '${id('03')}'`);
		assert.deepEqual((await eve.next('delta', 'e')).changes, [['-', [id('03')]]]);
		assert.deepEqual((await rooms.next('delta', 'r')).changes, [['~', [id('c2')], { messages: '0', last_at: null }]]);
		await bob.silence('b');
	});

	await t.test('9: cut, and resumed with one net unit', async () => {
		last = bob.all.findLast(f => f.id === 'b' && f.pos).pos;
		bob.cut();
		await sql(insert('05', 'five') + insert('06', 'six'));
		await sql(`UPDATE chat_test.chat_message SET chat_message_text = 'FIVE' WHERE chat_message_id = '${id('05')}'`);
		await sql(`DELETE FROM chat_test.chat_message WHERE chat_message_id = '${id('06')}'`);
		bob = await open();
		const answer = await bob.subscribe('b', { view, filter: cats, resume: last });
		assert.equal(answer.mode, 'resume');
		assert.equal(answer.recovered, true);
		assert.equal(answer.pos, last);
		const delta = await bob.next('delta', 'b');
		assert.equal(delta.prev, last);
		assert.equal(delta.changes.length, 1);
		assert.equal(delta.changes[0][0], '+');
		assert.equal(delta.changes[0][1].message, 'FIVE');
		await bob.silence('b');
		assert.equal(JSON.stringify(bob.all).includes(id('06')), false);
		await eve.silence('e', 0);
		last = delta.pos;
	});

	await t.test('a resume with nothing missed, with another filter, and with rubbish', async () => {
		const other = await open();
		const same = await other.subscribe('1', { view, filter: cats, resume: last });
		assert.deepEqual([same.mode, same.recovered], ['resume', true]);
		await other.silence('1');
		const wrong = await other.subscribe('2', { view, resume: last });
		assert.deepEqual([wrong.mode, wrong.recovered], ['snapshot', false]);
		const rubbish = await other.subscribe('3', { view, filter: cats, resume: 'x'.repeat(34) });
		assert.deepEqual([rubbish.mode, rubbish.recovered], ['snapshot', false]);
		const now = await other.subscribe('4', { view, filter: cats, snapshot: false });
		assert.deepEqual([now.mode, now.recovered], ['resume', false]);
		other.close();
	});

	await t.test('10: leaving the filter', async () => {
		while (rooms.frames.length) rooms.frames.pop();
		await sql(`UPDATE chat_test.chat SET chat_topic = 'kittens' WHERE chat_topic = 'cats'`);
		const delta = await bob.next('delta', 'b');
		assert.deepEqual(delta.changes.map(c => c[0]), ['-', '-', '-', '-']);
		assert.deepEqual(delta.changes.map(c => c[1][0]).sort(), ['01', '02', '04', '05'].map(id));
		assert.deepEqual((await rooms.next('delta', 'r')).changes, [['~', [id('c1')], { channel: 'kittens' }]]);
		await eve.silence('e');
		const mirror = new Mirror(rooms, 'r');
		await mirror.equals((await json('SELECT * FROM chat_test.chat_room')).map(r => ({ ...r, messages: String(r.messages) })));
	});

	for (const client of [bob, eve, rooms]) {
		assert.equal(JSON.stringify(client.all).includes('secret'), false);
		client.close();
	}
});
