/** The socket's life: back-off, heartbeat, tokens, close codes. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { connect } from '../src/index.js';
import { Backoff } from '../src/backoff.js';
import { connected, delta, fakeClock, fakeWebSocket, liveView, record, welcome } from './fake.js';

let clock;
beforeEach(() => (clock = fakeClock()));
afterEach(() => clock.restore());

/** Promises settle between two macrotasks; mocked timers do not run those. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('offers the subprotocol, and is open when the server has said welcome', () => {
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket });
	assert.deepEqual(WebSocket.last.protocols, ['tailwater.v1']);
	WebSocket.last.open();
	assert.equal(db.status, 'connecting');
	WebSocket.last.say(welcome);
	assert.equal(db.status, 'open');
	assert.equal(db.server.server, 'tailwater/test');
});

test('waits longer after each failure, up to a limit, between half and all of the step', () => {
	const highest = new Backoff({ min: 100, max: 1000, random: () => 0.999999 });
	const lowest = new Backoff({ min: 100, max: 1000, random: () => 0 });
	const waits = (backoff) => [1, 2, 3, 4, 5, 6].map(() => Math.round(backoff.next()));
	assert.deepEqual(waits(highest), [100, 200, 400, 800, 1000, 1000]);
	assert.deepEqual(waits(lowest), [50, 100, 200, 400, 500, 500]);
	lowest.reset();
	assert.equal(lowest.next(), 50);
});

test('reconnects; only a connection that held starts the back-off anew', () => {
	const { db, WebSocket } = connected({ backoff: { random: () => 1 }, stableAfter: 5000 });
	const events = record(db, 'status');
	const waited = () => events.filter(([, status]) => status === 'waiting').map(([, , d]) => d.retryIn);
	const again = () => {
		clock.tick(waited().at(-1));
		WebSocket.last.open();
		WebSocket.last.say(welcome);
	};
	WebSocket.last.cut();
	again();
	WebSocket.last.cut();
	again();
	clock.tick(5000);
	WebSocket.last.cut();
	assert.deepEqual(waited(), [250, 500, 250]);
	assert.equal(WebSocket.sockets.length, 3);
});

test('going_away: comes back after the time the server names', () => {
	const { socket, WebSocket } = connected({ backoff: { random: () => 0 } });
	socket.say({ type: 'going_away', retry_after_ms: 3000 });
	socket.cut(1001);
	clock.tick(2999);
	assert.equal(WebSocket.sockets.length, 1);
	clock.tick(1);
	assert.equal(WebSocket.sockets.length, 2);
});

test('a silent connection is asked; an answer keeps it', () => {
	const { db, socket } = connected();
	clock.tick(24_999);
	assert.deepEqual(socket.take(), []);
	clock.tick(1);
	assert.deepEqual(socket.take(), [{ type: 'ping' }]);
	clock.tick(5000);
	socket.say({ type: 'pong' });
	clock.tick(5000);
	assert.equal(db.status, 'open');
	clock.tick(15_000);
	clock.tick(10_000);
	assert.deepEqual(socket.take(), [{ type: 'ping' }]);
});

test('a connection with traffic is not asked', () => {
	const { socket, id } = liveView();
	clock.tick(20_000);
	socket.say({ type: 'progress', id, pos: 'p1' });
	clock.tick(20_000);
	assert.deepEqual(socket.take(), []);
	clock.tick(5_000);
	assert.deepEqual(socket.take(), [{ type: 'ping' }]);
});

test('no answer: the socket is dead, another one takes over, and the dead one is not heard again', () => {
	const { db, WebSocket, socket, live, id } = liveView();
	clock.tick(25_000);
	clock.tick(10_000);
	assert.equal(db.status, 'waiting');
	assert.equal(live.state, 'stale');
	assert.ok(socket.closedWith);
	socket.onmessage({ data: JSON.stringify(delta(id, 'p0', 'p1', [['-', [1]]])) });
	socket.onclose({ code: 1006, reason: '' });
	assert.equal(live.size, 2);
	clock.tick(1000);
	assert.equal(WebSocket.sockets.length, 2);
});

test('a server that never says welcome is given up', () => {
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket, connectTimeout: 4000 });
	clock.tick(4000);
	assert.equal(db.status, 'waiting');
});

for (const code of [4400, 4401, 4403, 4404, 4406])
	test(`close code ${code} is final`, async () => {
		const { db, WebSocket, socket, live } = liveView();
		const pending = db.subscribe('u');
		const errors = record(db, 'error');
		socket.cut(code, 'no');
		assert.equal(db.status, 'closed');
		assert.equal(errors[0][1].closeCode, code);
		assert.equal(live.state, 'closed');
		assert.equal(live.size, 2);
		await assert.rejects(pending.ready, { code: 'refused', message: 'no' });
		clock.tick(120_000);
		assert.equal(WebSocket.sockets.length, 1);
		assert.throws(() => db.subscribe('t'), { code: 'closed' });
	});

for (const code of [1001, 1006, 1011, 4429, 4500, 4508, 4512])
	test(`close code ${code} is not`, () => {
		const { db, socket } = connected();
		socket.cut(code);
		assert.equal(db.status, 'waiting');
	});

test('a message that is none closes the socket and opens another', () => {
	for (const data of ['{', '[]', '{"id":"1"}', 'null']) {
		const { db, socket } = connected();
		const errors = record(db, 'error');
		socket.onmessage({ data });
		assert.equal(errors[0][1].code, 'malformed', data);
		assert.equal(socket.closedWith.code, 4400);
		assert.equal(db.status, 'waiting');
	}
});

test('another message within a unit is a broken promise', () => {
	const { db, socket, live, id } = liveView();
	socket.say(delta(id, 'p0', 'p1', [['-', [1]]], { more: true }), { type: 'progress', id, pos: 'p1' });
	assert.equal(db.status, 'waiting');
	assert.equal(live.pos, 'p0');
});

test('a token is sent first, and again when it expires or the socket is new', async () => {
	let n = 0;
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket, token: async () => `t${++n}` });
	db.subscribe('t');
	WebSocket.last.open();
	await settle();
	assert.deepEqual(WebSocket.last.take().map(({ type, token }) => [type, token]), [
		['auth', 't1'],
		['subscribe', undefined],
	]);
	WebSocket.last.say(welcome, { type: 'token_expiring', in: 30 });
	await settle();
	assert.deepEqual(WebSocket.last.take(), [{ type: 'auth', token: 't2' }]);
	WebSocket.last.cut(4401);
	assert.equal(db.status, 'waiting', 'a function may have a better token');
	clock.tick(1000);
	WebSocket.last.open();
	await settle();
	assert.equal(WebSocket.last.take()[0].token, 't3');
});

test('a view subscribed while the token is being made is subscribed once', async () => {
	const WebSocket = fakeWebSocket();
	let give;
	const db = connect('ws://test/v1/stream', { WebSocket, token: () => new Promise((r) => (give = r)) });
	WebSocket.last.open();
	db.subscribe('t');
	assert.deepEqual(WebSocket.last.take(), []);
	give('x');
	await settle();
	assert.deepEqual(WebSocket.last.take().map(({ type }) => type), ['auth', 'subscribe']);
});

test('a token function that fails: tried again later', async () => {
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket, token: () => Promise.reject(new Error('login')) });
	const errors = record(db, 'error');
	WebSocket.last.open();
	await settle();
	assert.equal(errors[0][1].code, 'token');
	assert.equal(db.status, 'waiting');
});

test('close ends everything and no timer stays', async () => {
	const { db, WebSocket, socket, live } = liveView();
	db.close();
	assert.equal(db.status, 'closed');
	assert.equal(live.state, 'closed');
	assert.equal(socket.closedWith.code, 1000);
	assert.equal(clock.pending(), 0);
	clock.tick(1_000_000);
	assert.equal(WebSocket.sockets.length, 1);
});

test('a handler that throws does not keep others from hearing, nor the view from moving on', async () => {
	const { socket, live, id } = liveView();
	const reported = mock.method(globalThis, 'queueMicrotask', () => {});
	live.on('change', () => {
		throw new Error('mine');
	});
	const events = record(live, 'change');
	socket.say(delta(id, 'p0', 'p1', [['-', [1]]]));
	assert.equal(events.length, 1);
	assert.equal(live.pos, 'p1');
	const [rethrow] = reported.mock.calls[0].arguments;
	reported.mock.restore();
	assert.throws(rethrow, { message: 'mine' });
});

test('without a WebSocket the reason is said', () => {
	assert.throws(() => connect('ws://test/', { WebSocket: null ?? 1 }), /no WebSocket here/);
});
