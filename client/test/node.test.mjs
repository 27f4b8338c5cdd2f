/** The WebSocket for Node.js before 22, over real sockets, against a server that is as awkward as it may. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { acceptOf, encodeClose, encodeFrame, FrameReader, kOpcode } from '../src/frames.js';
import { connect, NodeWebSocket } from '../src/node.js';
import { delta, snapshot, subscribed, welcome } from './fake.js';

/** Listens; `play(peer)` for each socket, peer = {send, write, socket, received}. */
async function serve(t, play) {
	const server = createServer((request, response) => response.writeHead(404).end());
	server.on('upgrade', (request, socket) => {
		const accept = acceptOf(request.headers['sec-websocket-key']);
		socket.write(
			'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n' +
				`sec-websocket-protocol: tailwater.v1\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
		);
		const reader = new FrameReader();
		const peer = {
			socket,
			received: [],
			onmessage: () => {},
			write: (opcode, payload, options) => socket.write(encodeFrame(opcode, payload, options)),
			send: (message) => peer.write(kOpcode.text, JSON.stringify(message)),
		};
		socket.on('error', () => {});
		socket.on('end', () => socket.destroy());
		socket.on('data', (chunk) => {
			for (const message of reader.push(chunk)) {
				peer.received.push(message);
				peer.onmessage(message);
			}
		});
		play(peer);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return `ws://127.0.0.1:${server.address().port}/v1/stream`;
}

const event = (socket, name) => new Promise((resolve) => (socket[`on${name}`] = resolve));

test('messages of every length, in pieces of every size', async (t) => {
	const texts = [0, 1, 125, 126, 65535, 65536, 200_000].map((n) => 'é'.repeat(n / 2) + 'x'.repeat(n % 2));
	const url = await serve(t, ({ socket }) => {
		const bytes = Buffer.concat(texts.map((text) => encodeFrame(kOpcode.text, text)));
		let at = 0;
		const next = () => {
			if (at >= bytes.length) return;
			const size = at < 600 ? 1 : 50_001;
			socket.write(bytes.subarray(at, at + size));
			at += size;
			setImmediate(next);
		};
		next();
	});
	const socket = new NodeWebSocket(url, ['tailwater.v1']);
	const got = [];
	await new Promise((resolve) => {
		socket.onmessage = ({ data }) => got.push(data) === texts.length && resolve();
	});
	assert.equal(socket.protocol, 'tailwater.v1');
	assert.deepEqual(got, texts);
	socket.close();
});

test('fragments are joined, with control frames between them; pings are answered', async (t) => {
	let pong;
	const url = await serve(t, (peer) => {
		pong = new Promise((resolve) => (peer.onmessage = resolve));
		peer.write(kOpcode.text, 'one ', { final: false });
		peer.write(kOpcode.ping, 'hey');
		peer.write(kOpcode.continuation, 'two');
	});
	const socket = new NodeWebSocket(url);
	assert.equal((await event(socket, 'message')).data, 'one two');
	const { opcode, payload } = await pong;
	assert.deepEqual([opcode, payload.toString()], [kOpcode.pong, 'hey']);
	socket.close();
});

test('what the client sends is masked and whole', async (t) => {
	const text = JSON.stringify({ a: 'ü'.repeat(40_000) });
	let received;
	const url = await serve(t, (peer) => {
		received = new Promise((resolve) => (peer.onmessage = resolve));
	});
	const socket = new NodeWebSocket(url);
	await event(socket, 'open');
	socket.send(text);
	assert.equal((await received).payload.toString(), text);
	socket.close();
});

test('close codes arrive', async (t) => {
	const url = await serve(t, (peer) => peer.write(kOpcode.close, encodeClose(4403, 'origin')));
	const { code, reason } = await event(new NodeWebSocket(url), 'close');
	assert.deepEqual([code, reason], [4403, 'origin']);
});

test('a lost line, a refused connection and an HTTP error are closes with 1006', async (t) => {
	const url = await serve(t, ({ socket }) => socket.destroy());
	assert.equal((await event(new NodeWebSocket(url), 'close')).code, 1006);
	assert.equal((await event(new NodeWebSocket('ws://127.0.0.1:1/'), 'close')).code, 1006);
	const server = createServer((request, response) => response.writeHead(404).end());
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	const refused = await event(new NodeWebSocket(`ws://127.0.0.1:${server.address().port}/`), 'close');
	assert.equal(refused.code, 1006);
	assert.match(refused.reason, /404/);
});

test('the client over it: snapshot, cut, resume', async (t) => {
	const subscriptions = [];
	const url = await serve(t, (peer) => {
		peer.send(welcome);
		peer.onmessage = ({ opcode, payload }) => {
			if (opcode !== kOpcode.text) return;
			const message = JSON.parse(payload);
			subscriptions.push(message);
			if (message.resume) {
				peer.send(subscribed(message.id, { mode: 'resume', recovered: true, pos: message.resume }));
				peer.send(delta(message.id, message.resume, 'p1', [['+', { k: 2, v: 'b' }]]));
			} else {
				peer.send(subscribed(message.id));
				peer.send(snapshot(message.id, [{ k: 1, v: 'a' }]));
				setTimeout(() => peer.socket.destroy(), 10);
			}
		};
	});
	const db = connect(url, { backoff: { min: 1, max: 5 } });
	const live = db.subscribe('t');
	await live.ready;
	assert.equal(live.size, 1);
	await new Promise((resolve) => live.on('change', resolve));
	assert.equal(live.size, 2);
	assert.deepEqual(subscriptions.map((s) => s.resume), [undefined, 'p0']);
	db.close();
});
