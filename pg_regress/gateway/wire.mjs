// wire.mjs - a small raw WebSocket client and what the gateway's tests share.
//
// No package: node 20 has no WebSocket client, and a raw one can also do what a well-behaved one cannot
// (stop reading, send garbage). See docs/wire-protocol.md.
import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import net from 'node:net';

export const port = Number(process.env.TAILWATER_PORT ?? 8432);
export const role = process.env.TAILWATER_ANON_ROLE ?? 'tester';
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Runs SQL through psql; rows come as lines of unaligned text. */
export function sql(text) {
	return new Promise((resolve, reject) => {
		const psql = spawn('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', process.env.PGDATABASE ?? 'test', '-f', '-'],
			{ env: { PGOPTIONS: '-c client_min_messages=warning', ...process.env } });
		let out = '', err = '';
		psql.stdout.on('data', d => out += d);
		psql.stderr.on('data', d => err += d);
		psql.on('close', code => code === 0 ? resolve(out.trimEnd()) : reject(new Error(err)));
		psql.stdin.end(text);
	});
}

/** The value of a query as JSON. */
export async function json(query) {
	return JSON.parse(await sql(`SET TimeZone = 'UTC'; SELECT coalesce(json_agg(to_json(t)), '[]') FROM (${query}) t`));
}

/** Objects in the order of their text, with sorted names: for comparing sets of rows. */
export function canonical(rows) {
	const sorted = value => Array.isArray(value) ? value.map(sorted)
		: value && typeof value === 'object' ? Object.fromEntries(Object.keys(value).sort().map(k => [k, sorted(value[k])]))
		: value;
	return rows.map(r => JSON.stringify(sorted(r))).sort();
}

export class Client {
	frames = [];      // not yet taken
	all = [];         // ever received
	closed = null;    // { code, reason }
	pings = 0;
	#waiting = [];
	#buffer = Buffer.alloc(0);
	#parts = [];

	static async open(path = '/v1/stream', { protocol = 'tailwater.v1', headers = {} } = {}) {
		const client = new Client();
		const key = randomBytes(16).toString('base64');
		const socket = client.socket = net.connect(port, 'localhost');
		socket.setNoDelay(true);
		await new Promise((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject); });
		const lines = { Host: `localhost:${port}`, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': key,
			'Sec-WebSocket-Version': '13', ...(protocol ? { 'Sec-WebSocket-Protocol': protocol } : {}), ...headers };
		socket.write(`GET ${path} HTTP/1.1\r\n` + Object.entries(lines).map(([k, v]) => `${k}: ${v}\r\n`).join('') + '\r\n');
		await new Promise((resolve, reject) => {
			const onData = data => {
				client.#buffer = Buffer.concat([client.#buffer, data]);
				const end = client.#buffer.indexOf('\r\n\r\n');
				if (end < 0) return;
				socket.off('data', onData);
				const head = client.#buffer.subarray(0, end).toString();
				client.#buffer = client.#buffer.subarray(end + 4);
				const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
				if (!head.startsWith('HTTP/1.1 101') || !head.includes(accept)) return reject(new Error(head));
				client.protocol = /sec-websocket-protocol: *(\S+)/i.exec(head)?.[1];
				socket.on('data', d => { client.#buffer = Buffer.concat([client.#buffer, d]); client.#parse(); });
				client.#parse();
				resolve();
			};
			socket.on('data', onData);
			socket.once('close', () => reject(new Error('closed during the handshake')));
			socket.once('error', reject);
		});
		socket.on('error', () => {});
		socket.on('close', () => { client.closed ??= { code: 1006, reason: '' }; client.#wake(); });
		return client;
	}

	#parse() {
		for (;;) {
			const b = this.#buffer;
			if (b.length < 2) return;
			let length = b[1] & 127, at = 2;
			if (length === 126) { if (b.length < 4) return; length = b.readUInt16BE(2); at = 4; }
			else if (length === 127) { if (b.length < 10) return; length = Number(b.readBigUInt64BE(2)); at = 10; }
			if (b.length < at + length) return;
			const payload = b.subarray(at, at + length), opcode = b[0] & 15;
			this.#buffer = b.subarray(at + length);
			if (opcode === 8) {
				this.closed = { code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() };
				this.raw(8, payload);
				this.socket.end();
				this.#wake();
			} else if (opcode === 9) { this.pings++; this.raw(10, payload); }
			else if (opcode <= 2) {
				this.#parts.push(payload);
				if (b[0] & 128) {
					const frame = JSON.parse(Buffer.concat(this.#parts).toString());
					this.#parts = [];
					this.frames.push(frame);
					this.all.push(frame);
					this.#wake();
				}
			}
		}
	}

	#wake() { for (const wake of this.#waiting.splice(0)) wake(); }

	/** Sends one WebSocket frame. */
	raw(opcode, payload, fin = true) {
		const data = Buffer.from(payload), mask = randomBytes(4);
		const head = data.length < 126 ? Buffer.from([0, 128 | data.length])
			: data.length < 65536 ? Buffer.from([0, 254, data.length >> 8, data.length & 255])
			: Buffer.concat([Buffer.from([0, 255, 0, 0, 0, 0]), Buffer.from(Uint32Array.of(data.length).buffer).reverse()]);
		head[0] = (fin ? 128 : 0) | opcode;
		for (let i = 0; i < data.length; i++) data[i] ^= mask[i & 3];
		if (!this.socket.destroyed) this.socket.write(Buffer.concat([head, mask, data]));
	}

	send(message) { this.raw(1, typeof message === 'string' ? message : JSON.stringify(message)); }

	async until(condition, ms = 5000) {
		const deadline = Date.now() + ms;
		for (;;) {
			const value = condition();
			if (value) return value;
			const left = deadline - Date.now();
			if (left <= 0) throw new Error('timeout; got ' + JSON.stringify(this.all.slice(-5)).slice(0, 2000) + ' ' + JSON.stringify(this.closed));
			await new Promise(resolve => {
				const timer = setTimeout(resolve, left);
				this.#waiting.push(() => { clearTimeout(timer); resolve(); });
			});
		}
	}

	/** Takes the next frame of this type (and id), leaving others. */
	async next(type, id, ms) {
		return this.until(() => {
			const i = this.frames.findIndex(f => f.type === type && (id === undefined || f.id === id));
			return i >= 0 ? this.frames.splice(i, 1)[0] : null;
		}, ms);
	}

	/** No frame (of this id) within the time. */
	async silence(id, ms = 400) {
		await sleep(ms);
		const heard = this.frames.filter(f => (id === undefined || f.id === id) && f.type !== 'progress');
		if (heard.length > 0) throw new Error('expected silence, got ' + JSON.stringify(heard));
	}

	async subscribe(id, wish) {
		this.send({ type: 'subscribe', id, ...wish });
		const answer = await this.until(() => {
			const i = this.frames.findIndex(f => (f.type === 'subscribed' || f.type === 'error') && f.id === id);
			return i >= 0 ? this.frames.splice(i, 1)[0] : null;
		});
		if (answer.type === 'error' || answer.mode !== 'snapshot') return answer;
		answer.rows = await this.snapshot(id);
		return answer;
	}

	async snapshot(id) {
		const rows = [];
		for (;;) {
			const chunk = await this.next('snapshot', id, 20000);
			rows.push(...chunk.rows);
			if (!chunk.more) return rows;
		}
	}

	async whenClosed(ms) { await this.until(() => this.closed, ms); return this.closed.code; }
	/** Cuts the connection without a word. */
	cut() { this.socket.destroy(); }
	close() { this.raw(8, Buffer.from([3, 232])); this.socket.end(); }
}

/** A client's copy of one subscription, kept as docs/wire-protocol.md says. */
export class Mirror {
	constructor(client, id) { this.client = client; this.id = id; this.rows = new Map(); this.bag = new Map(); this.seen = 0; this.pending = []; }

	key(row) { return JSON.stringify(this.keyColumns.map(k => row[k])); }

	/** Applies what has arrived. */
	catchUp() {
		for (; this.seen < this.client.all.length; this.seen++) {
			const f = this.client.all[this.seen];
			if (f.id !== this.id) { if (f.type === 'delta' && !f.more) this.#apply(); continue; }
			if (f.type === 'subscribed') { this.keyColumns = f.key; this.building = []; if (f.mode === 'resume') this.pos = f.pos; }
			if (f.type === 'snapshot') {
				this.building.push(...f.rows);
				if (!f.more) {
					this.rows = new Map(); this.bag = new Map();
					for (const r of this.building) this.#add(r, 1);
					this.building = [];
					this.pos = f.pos;
				}
			}
			if (f.type === 'progress') this.pos = f.pos;
			if (f.type === 'delta') {
				if (this.pending.length === 0 && f.prev !== this.pos) throw new Error(`missed something: ${f.prev} after ${this.pos}`);
				this.pending.push(...f.changes);
				this.nextPos = f.pos;
				if (!f.more) this.#apply();
			}
		}
		return this;
	}

	#add(row, diff) {
		if (this.keyColumns) return this.rows.set(this.key(row), row);
		const text = JSON.stringify(row), n = (this.bag.get(text) ?? 0) + diff;
		if (n < 0) throw new Error('negative count of ' + text);
		if (n === 0) this.bag.delete(text); else this.bag.set(text, n);
	}

	#apply() {
		for (const [op, a, b] of this.pending) {
			if (!this.keyColumns) { this.#add(a, op); continue; }
			const key = JSON.stringify(op === '+' ? this.keyColumns.map(k => a[k]) : a);
			if (op === '+') { if (this.rows.has(key)) throw new Error('+ of a row that is there: ' + key); this.rows.set(key, a); }
			else if (!this.rows.has(key)) throw new Error(op + ' of a row that is not there: ' + key);
			else if (op === '-') this.rows.delete(key);
			else this.rows.set(key, { ...this.rows.get(key), ...b });
		}
		if (this.pending.length > 0) this.pos = this.nextPos;
		this.pending = [];
	}

	get value() {
		if (this.keyColumns) return [...this.rows.values()];
		return [...this.bag].flatMap(([text, n]) => Array(n).fill(JSON.parse(text)));
	}

	/** Waits until the copy equals the rows. */
	async equals(rows, ms = 10000) {
		const wanted = JSON.stringify(canonical(rows)), deadline = Date.now() + ms;
		for (;;) {
			this.catchUp();
			const have = JSON.stringify(canonical(this.value));
			if (have === wanted) return;
			if (Date.now() > deadline) throw new Error(`copy differs:\n${have.slice(0, 3000)}\nview:\n${wanted.slice(0, 3000)}`);
			await sleep(20);
		}
	}
}

/** An HTTP request on a socket of its own, path as it is. */
export function http(path, method = 'GET', headers = {}) {
	return new Promise((resolve, reject) => {
		const socket = net.connect(port, 'localhost');
		let data = Buffer.alloc(0);
		socket.on('error', e => data.length === 0 && reject(new Error(`${method} ${path}: ${e.message}`)));
		socket.on('data', d => data = Buffer.concat([data, d]));
		socket.on('close', () => {
			const end = data.indexOf('\r\n\r\n');
			const head = data.subarray(0, end).toString();
			resolve({ status: Number(head.split(' ')[1]), head, body: data.subarray(end + 4).toString(),
				headers: Object.fromEntries(head.split('\r\n').slice(1).map(l => { const i = l.indexOf(':'); return [l.slice(0, i).toLowerCase(), l.slice(i + 1).trim()]; })) });
		});
		socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n` +
			Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('') + '\r\n');
	});
}
