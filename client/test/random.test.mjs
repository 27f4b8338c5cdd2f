/** Random histories, random cuts: the client always holds one version, and ends with the last. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalRows, connect } from '../src/index.js';
import { fakeClock, fakeWebSocket } from './fake.js';
import { ModelServer } from './model.js';

/** A small generator, so that a failure can be repeated by its seed (mulberry32). */
function randomFrom(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

function mutate(rows, keyed, below) {
	const next = rows.map((row) => ({ ...row }));
	for (let n = 1 + below(8); n > 0; n -= 1) {
		const row = { group: `g${below(2)}`, v: `v${below(3)}` };
		const i = below(next.length + 2);
		if (i >= next.length) {
			if (keyed) row.k = Math.max(0, ...next.map((r) => r.k)) + 1;
			next.push(row);
		} else if (below(3) === 0) next.splice(i, 1);
		else Object.assign(next[i], row);
	}
	return next;
}

function run(seed, keyed, clock) {
	const random = randomFrom(seed);
	const below = (n) => Math.floor(random() * n);
	const WebSocket = fakeWebSocket();
	const server = new ModelServer({ keyed, retained: 1 + below(10) });
	const db = connect('ws://test/v1/stream', { WebSocket, backoff: { random } });
	const groups = ['g0', 'g1'];
	const lives = groups.map((group) => db.subscribe('t', { filter: { group } }));
	const errors = [];
	for (const live of lives) live.on('error', (error) => errors.push(error));

	/** Each view must be its filter of the version that its position names. */
	const check = () =>
		lives.forEach((live, i) => {
			if (live.pos === null) return;
			const version = Number(live.pos.slice(1));
			assert.equal(canonicalRows(live.values()), canonicalRows(server.rows(groups[i], version)));
		});
	for (const live of lives) live.on('change', check);

	let accepted = 0;
	const accept = (budget) => {
		if (WebSocket.sockets.length === accepted) return;
		accepted = WebSocket.sockets.length;
		server.accept(WebSocket.last, budget);
	};
	for (let step = 0; step < 60; step += 1) {
		if (below(3) === 0) clock.tick(100 + below(2000));
		accept(1 + below(25));
		server.commit(mutate(server.versions.at(-1), keyed, below));
		check();
	}
	server.keepPeace();
	for (let waited = 0; waited < 60_000; waited += 1000) {
		clock.tick(1000);
		accept(Infinity);
	}
	server.commit(mutate(server.versions.at(-1), keyed, below));
	lives.forEach((live, i) =>
		assert.equal(canonicalRows(live.values()), canonicalRows(server.rows(groups[i]))),
	);
	assert.deepEqual(errors, []);
	db.close();
	return server.answers;
}

for (const keyed of [true, false])
	test(`random histories of a view ${keyed ? 'with' : 'without'} a key`, () => {
		const clock = fakeClock();
		const seen = { snapshot: 0, resume: 0, delta: 0 };
		try {
			for (let seed = 1; seed <= 300; seed += 1) {
				try {
					const answers = run(seed, keyed, clock);
					for (const kind of Object.keys(seen)) seen[kind] += answers[kind];
				} catch (error) {
					error.message = `seed ${seed}: ${error.message}`;
					throw error;
				}
			}
		} finally {
			clock.restore();
		}
		for (const [kind, times] of Object.entries(seen)) assert.ok(times > 300, `${kind}: ${times}`);
	});
