/**
 * The conversations of vectors/: what both sides say, and what the client holds in between.
 *
 * A step is one of {client: message} (it must be said next), {server: message}, {cut: close code},
 * {close: subscription} (the caller ends it) and {expect: {id, pos, rows}}.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { canonicalRows, connect } from '../src/index.js';
import { fakeClock, fakeWebSocket } from './fake.js';

let clock;
beforeEach(() => (clock = fakeClock()));
afterEach(() => clock.restore());

function play({ subscribe, steps }) {
	const WebSocket = fakeWebSocket();
	const db = connect('ws://test/v1/stream', { WebSocket });
	const lives = subscribe.map(({ view, ...options }) => db.subscribe(view, options));
	const byId = (id) => lives[Number(id) - 1];
	const connected = () => {
		if (WebSocket.last.readyState !== 0) return;
		WebSocket.last.open();
	};
	const actions = {
		client: (message) => assert.deepEqual(WebSocket.last.sent.shift(), message),
		server: (message) => {
			connected();
			WebSocket.last.say(message);
		},
		cut: (code) => {
			WebSocket.last.cut(code);
			clock.tick(1000);
		},
		close: (id) => byId(id).close(),
		expect: ({ id, pos, rows }) => {
			assert.equal(byId(id).pos, pos);
			assert.equal(canonicalRows(byId(id).values()), canonicalRows(rows));
		},
	};
	steps.forEach((step, i) => {
		const [[kind, what]] = Object.entries(step);
		try {
			actions[kind](what);
		} catch (error) {
			error.message = `step ${i}: ${error.message}`;
			throw error;
		}
	});
	assert.deepEqual(WebSocket.last.sent, [], 'the client said more than it should');
}

for (const name of ['conversation', 'chunks', 'unit', 'bag']) {
	const vector = JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8'));
	test(`${name}: ${vector.description}`, () => play(vector));
}
