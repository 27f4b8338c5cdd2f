/**
 * latency.mjs - how long it takes from a commit to the WebSocket frame, on loopback.
 *
 * usage: node bench/latency.mjs [--port 8432] [--count 500] [--gap 5]
 *
 * Connects to the gateway of the database that PGHOST, PGPORT and PGDATABASE name (tailwater.anon_role
 * must be set), makes a table and a live view for itself, and drops them at the end. One psql does the
 * writing; `gap` is the pause between two writes in ms.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { NodeWebSocket } from '../client/src/node.js';

const { values: options } = parseArgs({
	options: {
		port: { type: 'string', default: process.env.TAILWATER_PORT ?? '8432' },
		count: { type: 'string', default: '500' },
		gap: { type: 'string', default: '5' },
	},
});
const count = Number(options.count);

/** A psql that answers each statement with a line. */
class Psql {
	constructor() {
		this.child = spawn('psql', ['-qAtX', '-v', 'ON_ERROR_STOP=1'], { stdio: ['pipe', 'pipe', 'inherit'] });
		this.lines = createInterface({ input: this.child.stdout });
		this.child.on('exit', (code) => {
			if (code !== 0) process.exit(1);
		});
	}

	async run(sql) {
		const done = once(this.lines, 'line');
		this.child.stdin.write(`${sql};\n\\echo done\n`);
		await done;
	}

	end() {
		this.child.stdin.end();
	}
}

/** Resolves when the frame with this number in it arrives. */
class Frames {
	#waiting = new Map();

	constructor(socket) {
		socket.onmessage = ({ data }) => {
			const now = performance.now();
			const message = JSON.parse(data);
			if (message.type === 'error') throw new Error(`${message.code}: ${message.message}`);
			if (message.type === 'snapshot' && !message.more) this.#settle('snapshot', now);
			if (message.type !== 'delta') return;
			for (const [, row] of message.changes) this.#settle(String(row?.id), now);
		};
	}

	#settle(name, now) {
		this.#waiting.get(name)?.(now);
		this.#waiting.delete(name);
	}

	next(name) {
		return new Promise((resolve) => this.#waiting.set(name, resolve));
	}
}

function percentiles(name, times) {
	times.sort((a, b) => a - b);
	const at = (p) => times[Math.min(times.length - 1, Math.floor(times.length * p))].toFixed(2);
	console.log(`${name.padEnd(28)} p50 ${at(0.5)} ms   p95 ${at(0.95)} ms   p99 ${at(0.99)} ms`);
}

const psql = new Psql();
await psql.run(`SET client_min_messages = error; DROP TABLE IF EXISTS bench_latency CASCADE;
CREATE TABLE bench_latency (id int PRIMARY KEY, note text);
CREATE MATERIALIZED VIEW bench_latency_view WITH (tailwater.maintain = immediate) AS SELECT id, note FROM bench_latency;
SELECT format('GRANT SELECT ON bench_latency_view TO %I', current_setting('tailwater.anon_role')) \\gexec
SELECT 1 WHERE false`);

const socket = new NodeWebSocket(`ws://localhost:${options.port}/v1/stream`, ['tailwater.v1']);
const frames = new Frames(socket);
await new Promise((resolve, reject) => {
	socket.onopen = resolve;
	socket.onerror = reject;
});
const ready = frames.next('snapshot');
socket.send(JSON.stringify({ type: 'subscribe', id: '1', view: 'public.bench_latency_view' }));
await ready;

const toCommit = [];
const toFrame = [];
for (let id = 1; id <= count; id++) {
	const frame = frames.next(String(id));
	const start = performance.now();
	const committed = psql.run(`INSERT INTO bench_latency VALUES (${id}, 'x')`).then(() => performance.now());
	toFrame.push((await frame) - start);
	toCommit.push((await committed) - start);
	await sleep(Number(options.gap));
}
percentiles('statement sent → committed', toCommit);
percentiles('statement sent → frame', toFrame);

socket.close();
await psql.run('DROP TABLE bench_latency CASCADE');
psql.end();
