/**
 * fake.js - the other end of the wire, played by the test: a WebSocket class whose sockets the test
 * holds in its hands, and the messages of a server.
 */
import assert from 'node:assert/strict';
import { connect } from '../src/index.js';

/**
 * A clock that stands still until it is told to move on; takes the place of setTimeout and Date.now.
 * (That of node:test would do, but Node.js 18 has only half of it.)
 */
export function fakeClock() {
	const real = { setTimeout, clearTimeout, now: Date.now };
	let now = 1_000_000;
	let last = 0;
	const timers = new Map();
	globalThis.setTimeout = (action, ms = 0) => {
		timers.set((last += 1), { at: now + Math.max(0, ms), action });
		return last;
	};
	globalThis.clearTimeout = (id) => timers.delete(id);
	Date.now = () => now;
	const due = (until) =>
		[...timers].filter(([, { at }]) => at <= until).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
	return {
		/** Lets `ms` pass, and what is due in them happen at its time. */
		tick(ms) {
			const until = now + ms;
			for (let next = due(until); next; next = due(until)) {
				const [id, { at, action }] = next;
				timers.delete(id);
				now = Math.max(now, at);
				action();
			}
			now = until;
		},
		pending: () => timers.size,
		restore() {
			Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
			Date.now = real.now;
		},
	};
}

/** A class to inject as WebSocket; `sockets` lists what the client has opened. */
export function fakeWebSocket() {
	return class FakeWebSocket {
		static sockets = [];
		static get last() {
			return this.sockets.at(-1);
		}

		constructor(url, protocols) {
			Object.assign(this, { url, protocols, readyState: 0, sent: [], closedWith: null });
			this.constructor.sockets.push(this);
		}

		// ---- what the client does ----
		send(text) {
			assert.equal(this.readyState, 1, 'sent on a socket that is not open');
			this.sent.push(JSON.parse(text));
			this.onsent?.(JSON.parse(text));
		}
		close(code, reason) {
			this.closedWith = { code, reason };
			this.readyState = 3;
		}

		// ---- what the server does ----
		open() {
			this.readyState = 1;
			this.onopen({});
		}
		say(...messages) {
			for (const message of messages) this.onmessage({ data: JSON.stringify(message) });
		}
		cut(code = 1006, reason = '') {
			this.readyState = 3;
			this.onclose({ code, reason });
		}
		/** Takes what the client has sent since the last call. */
		take() {
			return this.sent.splice(0);
		}
	};
}

export const welcome = { type: 'welcome', session: 's', server: 'tailwater/test', limits: {}, ping_interval: 25 };

/** A connection with its socket open and welcomed. */
export function connected(options = {}) {
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket, ...options });
	WebSocket.last.open();
	WebSocket.last.say(welcome);
	return { db, WebSocket, socket: WebSocket.last };
}

export const subscribed = (id, fields = {}) => ({
	type: 'subscribed',
	id,
	view: 'public.t',
	schema: [{ name: 'k', type: 'integer' }, { name: 'v', type: 'text' }],
	key: ['k'],
	mode: 'snapshot',
	recovered: false,
	pos: 'p0',
	...fields,
});

export const snapshot = (id, rows, fields = {}) => ({ type: 'snapshot', id, rows, pos: 'p0', more: false, ...fields });

export const delta = (id, prev, pos, changes, fields = {}) => ({
	type: 'delta',
	id,
	pos,
	prev,
	ts: '2024-01-01T00:00:00+00:00',
	changes,
	...fields,
});

/** A live view of `t(k, v)` with these rows, at position p0. */
export function liveView(options = {}, rows = [{ k: 1, v: 'a' }, { k: 2, v: 'b' }]) {
	const parts = connected(options);
	const live = parts.db.subscribe('t');
	const [{ id }] = parts.socket.take();
	parts.socket.say(subscribed(id), snapshot(id, rows));
	return { ...parts, live, id };
}

/** Collects the events of an emitter: [name, ...arguments]. */
export function record(emitter, ...names) {
	const events = [];
	for (const name of names) emitter.on(name, (...args) => events.push([name, ...args]));
	return events;
}
