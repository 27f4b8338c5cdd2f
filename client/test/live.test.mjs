/** What a live view holds: snapshots, units, resumes, resets, and things that do not fit. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { canonicalRows } from '../src/index.js';
import { connected, delta, fakeClock, liveView, record, snapshot, subscribed, welcome } from './fake.js';

let clock;
beforeEach(() => (clock = fakeClock()));
afterEach(() => clock.restore());

const rowsOf = (live) => [...live.values()];

/** Lets the client reconnect; returns the new socket, welcomed. */
function reconnect(WebSocket) {
	clock.tick(1000);
	WebSocket.last.open();
	WebSocket.last.say(welcome);
	return WebSocket.last;
}

test('subscribe says what is wanted', () => {
	const { db, socket } = connected();
	db.subscribe('chat_feed', { filter: { channel: 'cats' }, columns: ['message'] });
	db.subscribe('t', { filter: [{ col: 'a', val: null }], snapshot: false });
	db.subscribeEndpoint('/room', { params: { channel: 'cats' } });
	assert.deepEqual(socket.take(), [
		{
			type: 'subscribe',
			id: '1',
			view: 'chat_feed',
			filter: [{ col: 'channel', op: 'eq', val: 'cats' }],
			columns: ['message'],
		},
		{ type: 'subscribe', id: '2', view: 't', filter: [{ col: 'a', op: 'eq', val: null }], snapshot: false },
		{ type: 'subscribe', id: '3', endpoint: '/room', params: { channel: 'cats' } },
	]);
});

test('a view subscribed before the socket is open is subscribed once it is', () => {
	const { db, WebSocket, socket } = connected();
	socket.cut();
	db.subscribe('t');
	const next = reconnect(WebSocket);
	assert.equal(next.take().length, 1);
});

test('a snapshot is built aside and swapped in whole', async () => {
	const { db, socket } = connected();
	const live = db.subscribe('t');
	const events = record(live, 'change', 'state');
	const [{ id }] = socket.take();
	socket.say(subscribed(id), snapshot(id, [{ k: 1, v: 'a' }], { more: true }));
	assert.equal(live.size, 0);
	assert.equal(live.pos, null);
	socket.say(snapshot(id, [{ k: 2, v: 'b' }]));
	assert.deepEqual(rowsOf(live), [{ k: 1, v: 'a' }, { k: 2, v: 'b' }]);
	assert.deepEqual(live.get(2), { k: 2, v: 'b' });
	assert.deepEqual([...live.rows.keys()], ['[1]', '[2]']);
	assert.equal(live.pos, 'p0');
	assert.equal(await live.ready, live);
	assert.deepEqual(events.map(([name]) => name), ['state', 'change', 'state']);
	assert.equal(events[1][1].snapshot, true);
	assert.equal(events[1][1].changes.length, 2);
});

test('a delta inserts, changes and deletes', () => {
	const { socket, live, id } = liveView();
	const before = live.get(1);
	const events = record(live, 'change');
	socket.say(delta(id, 'p0', 'p1', [['~', [1], { v: 'A' }], ['-', [2]], ['+', { k: 3, v: 'c' }]]));
	assert.equal(canonicalRows(live.values()), '[{"k":1,"v":"A"},{"k":3,"v":"c"}]');
	assert.equal(live.pos, 'p1');
	assert.deepEqual(before, { k: 1, v: 'a' }, 'rows are not changed in place');
	assert.deepEqual(events[0][1].changes, [
		{ kind: 'update', key: [1], row: { k: 1, v: 'A' }, old: { k: 1, v: 'a' } },
		{ kind: 'delete', key: [2], row: { k: 2, v: 'b' }, old: { k: 2, v: 'b' } },
		{ kind: 'insert', key: [3], row: { k: 3, v: 'c' }, old: undefined },
	]);
});

test('a unit of several frames is applied at once, over all views', () => {
	const { db, socket, live, id } = liveView();
	const other = db.subscribe('u');
	const [{ id: otherId }] = socket.take();
	socket.say(subscribed(otherId), snapshot(otherId, []));
	const seen = [];
	live.on('change', () => seen.push([live.size, other.size]));
	other.on('change', () => seen.push([live.size, other.size]));
	const units = record(db, 'unit');
	socket.say(
		delta(id, 'p0', 'p1', [['+', { k: 3, v: 'c' }]], { more: true }),
		delta(id, 'p1', 'p1', [['+', { k: 4, v: 'd' }]], { more: true }),
	);
	assert.equal(live.size, 2);
	assert.equal(live.pos, 'p0');
	socket.say(delta(otherId, 'p0', 'p1', [['+', { k: 9, v: 'z' }]]));
	assert.deepEqual(seen, [[4, 1], [4, 1]]);
	assert.deepEqual(units[0][1].lives, [live, other]);
});

test('a second frame of a unit may name the position before the unit', () => {
	const { socket, live, id } = liveView();
	socket.say(
		delta(id, 'p0', 'p1', [['-', [1]]], { more: true }),
		delta(id, 'p0', 'p1', [['-', [2]]]),
	);
	assert.equal(live.size, 0);
	assert.equal(live.pos, 'p1');
});

test('a cut within a unit leaves nothing of it; resume names the last whole one', () => {
	const { WebSocket, socket, live, id } = liveView();
	socket.say(delta(id, 'p0', 'p1', [['-', [1]]], { more: true }));
	socket.cut();
	assert.equal(live.size, 2);
	assert.equal(live.state, 'stale');
	const next = reconnect(WebSocket);
	const [message] = next.take();
	assert.equal(message.resume, 'p0');
	next.say(
		subscribed(message.id, { mode: 'resume', recovered: true, pos: 'p0' }),
		delta(message.id, 'p0', 'p2', [['-', [1]], ['-', [2]]]),
	);
	assert.equal(live.size, 0);
	assert.equal(live.pos, 'p2');
});

test('a cut within a snapshot leaves nothing of it', () => {
	const { db, WebSocket, socket } = connected();
	const live = db.subscribe('t');
	const [{ id }] = socket.take();
	socket.say(subscribed(id), snapshot(id, [{ k: 1, v: 'a' }], { more: true }));
	socket.cut();
	const next = reconnect(WebSocket);
	const [message] = next.take();
	assert.ok(!('resume' in message));
	next.say(subscribed(message.id), snapshot(message.id, [{ k: 7, v: 'g' }]));
	assert.deepEqual(rowsOf(live), [{ k: 7, v: 'g' }]);
});

test('a resume that is answered with a snapshot replaces the rows; changes are the difference', () => {
	const { WebSocket, socket, live } = liveView();
	const events = record(live, 'change');
	const kept = live.get(1);
	socket.cut();
	const next = reconnect(WebSocket);
	const [{ id }] = next.take();
	next.say(subscribed(id, { pos: 'p9' }));
	assert.equal(live.size, 2, 'the old rows stay till the snapshot is complete');
	next.say(snapshot(id, [{ k: 1, v: 'a' }, { k: 2, v: 'B' }, { k: 3, v: 'c' }], { pos: 'p9' }));
	assert.equal(live.pos, 'p9');
	assert.equal(live.get(1), kept);
	assert.deepEqual(events[0][1].changes.map(({ kind, key }) => [kind, ...key]), [
		['update', 2],
		['insert', 3],
	]);
});

test('missing changes: the client asks again from where it stands, under a new id', () => {
	const { socket, live, id } = liveView();
	const errors = record(live, 'error');
	socket.say(delta(id, 'p1', 'p2', [['-', [1]]]));
	assert.equal(live.size, 2);
	assert.equal(errors[0][1].code, 'gap');
	socket.say(delta(id, 'p2', 'p3', [['-', [2]]])); // to the old id: not heard
	clock.tick(1000);
	const [unsubscribe, subscribe] = socket.take();
	assert.deepEqual(unsubscribe, { type: 'unsubscribe', id });
	assert.equal(subscribe.resume, 'p0');
	assert.notEqual(subscribe.id, id);
	assert.equal(errors.length, 1);
	socket.say({ type: 'complete', id, reason: 'unsubscribed' });
	assert.notEqual(live.state, 'closed');
});

for (const [name, changes] of [
	['a row that is already there', [['+', { k: 1, v: 'x' }]]],
	['a change of a row that is not there', [['~', [9], { v: 'x' }]]],
	['a removal of a row that is not there', [['-', [9]]]],
	['a key twice', [['-', [1]], ['+', { k: 1, v: 'x' }]]],
	['an unknown sign', [['?', [1]]]],
])
	test(`what does not fit is not applied, and the view is read anew: ${name}`, () => {
		const { socket, live, id } = liveView();
		const before = canonicalRows(live.values());
		const errors = record(live, 'error');
		socket.say(delta(id, 'p0', 'p1', [['+', { k: 5, v: 'e' }], ...changes]));
		assert.equal(canonicalRows(live.values()), before);
		assert.equal(errors[0][1].code, 'desync');
		clock.tick(1000);
		const subscribe = socket.take().at(-1);
		assert.equal(subscribe.type, 'subscribe');
		assert.ok(!('resume' in subscribe));
		socket.say(subscribed(subscribe.id), snapshot(subscribe.id, [{ k: 1, v: 'new' }]));
		assert.deepEqual(rowsOf(live), [{ k: 1, v: 'new' }]);
	});

test('a view without a key is a multiset', () => {
	const { db, socket } = connected();
	const live = db.subscribe('t');
	const [{ id }] = socket.take();
	socket.say(subscribed(id, { key: null }), snapshot(id, [{ v: 'a' }, { v: 'a' }, { v: 'b' }]));
	assert.equal(live.size, 3);
	assert.equal(live.count('{"v":"a"}'), 2);
	socket.say(delta(id, 'p0', 'p1', [[2, { v: 'c' }], [-1, { v: 'a' }], [-1, { v: 'b' }]]));
	assert.equal(canonicalRows(live.values()), '[{"v":"a"},{"v":"c"},{"v":"c"}]');
	const errors = record(live, 'error');
	socket.say(delta(id, 'p1', 'p2', [[-2, { v: 'a' }]]));
	assert.equal(errors[0][1].code, 'desync');
	assert.equal(live.size, 3);
});

test('a snapshot of a view without a key: changes are the difference in copies', () => {
	const { db, WebSocket, socket } = connected();
	const live = db.subscribe('t');
	const [{ id }] = socket.take();
	const rows = (...values) => values.map((v) => ({ v }));
	socket.say(subscribed(id, { key: null }), snapshot(id, rows('a', 'a', 'b', 'c', 'c')));
	const events = record(live, 'change');
	socket.cut();
	const next = reconnect(WebSocket);
	next.say(subscribed(id, { key: null }), snapshot(id, rows('a', 'c', 'c', 'd', 'd')));
	assert.deepEqual(events[0][1].changes, [
		{ kind: 'delete', row: { v: 'a' }, count: 1 },
		{ kind: 'insert', row: { v: 'd' }, count: 2 },
		{ kind: 'delete', row: { v: 'b' }, count: 1 },
	]);
});

test('reset: the old rows stay until the new snapshot is complete, even with another key', () => {
	const { socket, live, id } = liveView();
	const events = record(live, 'reset', 'change');
	socket.say({ type: 'reset', id, reason: 'definition' });
	socket.say(subscribed(id, { key: ['v'], pos: 'q0' }));
	socket.say(snapshot(id, [{ v: 'x', n: 1 }], { pos: 'q0', more: true }));
	assert.equal(live.size, 2);
	socket.say(snapshot(id, [{ v: 'y', n: 2 }], { pos: 'q0' }));
	assert.deepEqual([...live.rows.keys()], ['["x"]', '["y"]']);
	assert.deepEqual(events.map(([name]) => name), ['reset', 'change']);
	socket.say(delta(id, 'q0', 'q1', [['-', ['x']]]));
	assert.equal(live.size, 1);
});

test('snapshot: false shows what changes from now on', () => {
	const { db, socket } = connected();
	const live = db.subscribe('t', { snapshot: false });
	const [{ id }] = socket.take();
	socket.say(subscribed(id, { mode: 'resume', pos: 'p5' }));
	assert.equal(live.state, 'live');
	socket.say(delta(id, 'p5', 'p6', [['-', [1]], ['~', [2], { v: 'x' }], ['+', { k: 3, v: 'c' }]]));
	assert.deepEqual(rowsOf(live), [{ k: 3, v: 'c' }]);
	assert.equal(live.pos, 'p6');
});

test('progress moves the position, and the next delta follows it', () => {
	const { socket, live, id } = liveView();
	socket.say({ type: 'progress', id, pos: 'p4' });
	assert.equal(live.pos, 'p4');
	socket.say(delta(id, 'p4', 'p5', [['-', [1]]]));
	assert.equal(live.size, 1);
});

test('saved rows and position go on in another connection', () => {
	const first = liveView();
	const saved = JSON.parse(JSON.stringify(first.live.save()));
	const { db, socket } = connected();
	const live = db.subscribe('t', { saved });
	const [message] = socket.take();
	assert.equal(message.resume, 'p0');
	socket.say(subscribed(message.id, { mode: 'resume', recovered: true, pos: 'p0' }));
	assert.equal(canonicalRows(live.values()), canonicalRows(first.live.values()));
});

test('an error that passes: subscribe again after the time the server names', () => {
	const { db, socket } = connected();
	const live = db.subscribe('t');
	const [{ id }] = socket.take();
	socket.say({ type: 'error', id, code: 'unavailable', message: 'm', retryable: true, retry_after_ms: 2000 });
	clock.tick(1999);
	assert.deepEqual(socket.take(), []);
	clock.tick(501);
	assert.equal(socket.take()[0].type, 'subscribe');
	assert.notEqual(live.state, 'closed');
});

test('an error that does not pass ends the view', async () => {
	const { db, socket } = connected();
	const live = db.subscribe('t');
	const [{ id }] = socket.take();
	socket.say({ type: 'error', id, code: 'not_found', message: 'no such view', retryable: false, hint: 'h' });
	await assert.rejects(live.ready, { code: 'not_found', message: 'no such view', hint: 'h' });
	assert.equal(live.state, 'closed');
	assert.deepEqual(db.lives, []);
});

test('an error of a running view waits for its complete, then resumes', () => {
	const { socket, live, id } = liveView();
	socket.say({ type: 'error', id, code: 'internal', message: 'm', retryable: true, retry_after_ms: 10 });
	assert.deepEqual(socket.take(), []);
	socket.say({ type: 'complete', id, reason: 'error' });
	clock.tick(1000);
	assert.equal(socket.take()[0].resume, 'p0');
	assert.equal(live.size, 2);
});

test('dropped: the rows stay; forbidden: they go', () => {
	for (const [reason, size] of [['dropped', 2], ['released', 2], ['forbidden', 0]]) {
		const { db, socket, live, id } = liveView();
		const events = record(live, 'complete');
		socket.say({ type: 'complete', id, reason });
		assert.equal(live.state, 'closed');
		assert.equal(live.size, size, reason);
		assert.equal(events[0][1].reason, reason);
		assert.deepEqual(db.lives, []);
	}
});

test('close unsubscribes; frames that were under way change nothing', async () => {
	const { db, socket, live, id } = liveView();
	live.close();
	assert.deepEqual(socket.take(), [{ type: 'unsubscribe', id }]);
	socket.say(delta(id, 'p0', 'p1', [['-', [1]]]), { type: 'complete', id, reason: 'unsubscribed' });
	assert.equal(live.size, 2);
	assert.deepEqual(db.lives, []);
});

test('messages and fields that are not known are ignored', () => {
	const { socket, live, id } = liveView();
	socket.say({ type: 'news', id, x: 1 }, { type: 'news' }, delta(id, 'p0', 'p1', [['-', [1]]], { extra: 1 }));
	assert.equal(live.size, 1);
});

test('an error without id ends nothing', () => {
	const { db, socket, live } = liveView();
	const errors = record(db, 'error');
	socket.say({ type: 'error', code: 'unknown_type', message: 'm', retryable: false });
	assert.equal(errors[0][1].code, 'unknown_type');
	assert.equal(live.state, 'live');
});
