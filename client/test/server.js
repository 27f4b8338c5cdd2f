/**
 * server.js - what tests against a real server need: psql sessions, sockets that remember their frames, and
 * a line that can be cut.
 *
 * tools/check gives each test file a cluster: PGHOST, PGPORT, PGUSER, PGDATABASE for psql, the gateway on
 * TAILWATER_PORT. Without it these tests do not run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect as connectTcp, createServer } from 'node:net';
import { canonicalRows, connect, NodeWebSocket } from '../src/node.js';

export const gatewayPort = Number(process.env.TAILWATER_PORT);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `condition()` holds, at most `ms`; then says what was expected. */
export async function until(what, condition, ms = 10_000) {
	const end = Date.now() + ms;
	while (!(await condition())) {
		if (Date.now() > end) assert.fail(`not within ${ms} ms: ${typeof what === 'function' ? what() : what}`);
		await sleep(10);
	}
}

/** A psql session. `run` gives the rows that a piece of SQL printed, as lists of strings. */
export class Psql {
	#child;
	#heard = { stdout: '', stderr: '' }; // apart, since a piece of one may come within a line of the other
	#waiting = null;
	#marks = 0;

	constructor(environment = {}) {
		this.#child = spawn('psql', ['-X', '-q', '-A', '-t', '-F', '\x1f', '-v', 'VERBOSITY=verbose'], {
			env: { ...process.env, PGTZ: 'UTC', PGCLIENTENCODING: 'UTF8', ...environment },
			stdio: 'pipe',
		});
		for (const stream of ['stdout', 'stderr'])
			this.#child[stream].setEncoding('utf8').on('data', (text) => this.#hear(stream, text));
		this.#child.on('close', () => this.#waiting?.reject(new Error(`psql ended: ${this.#heard.stdout}${this.#heard.stderr}`)));
	}

	/** Runs SQL; rejects with what psql said where it failed. */
	run(sql, ms = 20_000) {
		assert.equal(this.#waiting, null, 'one at a time');
		const mark = `mark-${(this.#marks += 1)}`;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(`psql took longer than ${ms} ms: ${sql}`)), ms);
			this.#waiting = { mark, resolve, reject, timer };
			// stderr is another pipe: its text may come after the mark, so both streams carry one
			this.#child.stdin.write(`${sql}\n;\n\\echo ${mark}\n\\warn ${mark}\n`);
		});
	}

	close() {
		this.#child.stdin.end();
	}

	#hear(stream, text) {
		this.#heard[stream] += text;
		if (!this.#waiting) return;
		const { mark, resolve, reject, timer } = this.#waiting;
		const { stdout, stderr } = this.#heard;
		if (![stdout, stderr].every((output) => `\n${output}`.endsWith(`\n${mark}\n`))) return;
		const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && line !== mark);
		this.#heard = { stdout: '', stderr: '' };
		this.#waiting = null;
		clearTimeout(timer);
		const error = lines.findIndex((line) => /^(\w+:)?.*(ERROR|FATAL):/.test(line));
		if (error >= 0) reject(new Error(lines.slice(error).join('\n')));
		else resolve(lines.filter((line) => !/^(NOTICE|HINT|DETAIL|LOCATION|WARNING):/.test(line)).map((line) => line.split('\x1f')));
	}
}

/** Rows that psql reads, as the wire has them: `select` must cast int8 and numeric to text. */
export async function rowsInSql(psql, select) {
	const lines = await psql.run(`SELECT row_to_json(r) FROM (${select}) r`);
	return lines.map(([json]) => JSON.parse(json));
}

/** A class like NodeWebSocket that keeps every frame it receives in `frames` (heartbeats left out). */
export function recordingWebSocket(frames) {
	return class extends NodeWebSocket {
		// no private member: the constructor of the base assigns it before there could be one
		set onmessage(handler) {
			this.heard = handler;
		}

		get onmessage() {
			return (event) => {
				const message = JSON.parse(event.data);
				if (!['progress', 'pong', 'welcome'].includes(message.type)) frames.push(message);
				this.heard?.(event);
			};
		}
	};
}

/** A line to the gateway that can be cut and mended. */
export class Line {
	#sockets = new Set();
	#server;
	#up = true;

	async open() {
		this.#server = createServer((socket) => {
			if (!this.#up) return socket.destroy();
			const onward = connectTcp(gatewayPort, '127.0.0.1');
			for (const [one, other] of [[socket, onward], [onward, socket]]) {
				this.#sockets.add(one);
				one.on('error', () => {});
				one.on('close', () => {
					this.#sockets.delete(one);
					other.destroy();
				});
				one.pipe(other);
			}
		});
		await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
		return this;
	}

	get url() {
		return `ws://127.0.0.1:${this.#server.address().port}/v1/stream`;
	}

	cut() {
		this.#up = false;
		for (const socket of this.#sockets) socket.destroy();
	}

	mend() {
		this.#up = true;
	}

	close() {
		this.cut();
		this.#server.close();
	}
}

/**
 * A subscriber on a line of its own, that checks nothing goes wrong.
 * `take()` gives the frames since the last call.
 */
export async function subscriber(view, options) {
	const line = await new Line().open();
	const all = [];
	const frames = [];
	const WebSocket = recordingWebSocket({
		push: (frame) => {
			all.push(frame);
			frames.push(frame);
		},
	});
	const db = connect(line.url, { WebSocket, backoff: { min: 20, max: 200 } });
	const live = db.subscribe(view, options);
	const errors = [];
	live.on('error', (error) => errors.push(error));
	db.on('error', (error) => errors.push(error));
	const close = () => {
		db.close();
		line.close();
		assert.deepEqual(errors, []);
	};
	try {
		await until(`${view} to be there`, () => live.state === 'live' || live.state === 'closed');
		await live.ready;
	} catch (error) {
		close();
		throw error;
	}
	return {
		db,
		live,
		line,
		all,
		take: () => frames.splice(0),
		canonical: () => canonicalRows(live.values()),
		close,
	};
}

/** No frame within 2 s: to all of these. */
export async function silence(...subscribers) {
	await sleep(2000);
	for (const subscriber of subscribers) assert.deepEqual(subscriber.take(), []);
}
