/**
 * frames.js - the frames of RFC 6455, for Node.js versions without a WebSocket of their own.
 *
 * Text, ping, pong and close; fragments are joined; no extensions. Node.js only (Buffer).
 */
import { createHash, randomBytes } from 'node:crypto';

export const kOpcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

const kMaxMessage = 64 * 1024 * 1024;

/** The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key. */
export function acceptOf(key) {
	return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** One whole frame. Clients mask, servers do not. */
export function encodeFrame(opcode, payload, { mask = false, final = true } = {}) {
	const data = Buffer.from(payload);
	const head = [(final ? 0x80 : 0) | opcode];
	const masked = mask ? 0x80 : 0;
	let length = Buffer.alloc(0);
	if (data.length < 126) head.push(masked | data.length);
	else if (data.length < 65536) {
		head.push(masked | 126);
		length = Buffer.alloc(2);
		length.writeUInt16BE(data.length);
	} else {
		head.push(masked | 127);
		length = Buffer.alloc(8);
		length.writeBigUInt64BE(BigInt(data.length));
	}
	if (!mask) return Buffer.concat([Buffer.from(head), length, data]);
	const key = randomBytes(4);
	applyMask(data, key);
	return Buffer.concat([Buffer.from(head), length, key, data]);
}

/** The payload of a close frame. */
export function encodeClose(code, reason = '') {
	if (code === undefined) return Buffer.alloc(0);
	const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
	payload.writeUInt16BE(code);
	payload.write(reason, 2);
	return payload;
}

/** The other way; 1005 says that the frame named no code. */
export function decodeClose(payload) {
	if (payload.length < 2) return { code: 1005, reason: '' };
	return { code: payload.readUInt16BE(), reason: payload.toString('utf8', 2) };
}

/** Takes bytes as they come, gives whole messages: {opcode, payload}. */
export class FrameReader {
	#chunks = [];
	#have = 0;
	#fragments = null;

	*push(chunk) {
		this.#chunks.push(chunk);
		this.#have += chunk.length;
		for (let frame = this.#next(); frame; frame = this.#next()) {
			const message = this.#join(frame);
			if (message) yield message;
		}
	}

	#next() {
		const head = this.#peek(14);
		if (head.length < 2) return null;
		const masked = (head[1] & 0x80) !== 0;
		let length = head[1] & 0x7f;
		let at = 2;
		if (length === 126) {
			if (head.length < 4) return null;
			length = head.readUInt16BE(2);
			at = 4;
		} else if (length === 127) {
			if (head.length < 10) return null;
			length = Number(head.readBigUInt64BE(2));
			at = 10;
		}
		if (length > kMaxMessage) throw new Error('frame too large');
		const start = at + (masked ? 4 : 0);
		if (this.#have < start + length) return null;
		const bytes = this.#take(start + length);
		const payload = bytes.subarray(start);
		if (masked) applyMask(payload, bytes.subarray(at, start));
		return { opcode: bytes[0] & 0x0f, final: (bytes[0] & 0x80) !== 0, payload };
	}

	#join({ opcode, final, payload }) {
		if (opcode >= kOpcode.close) return { opcode, payload };
		if (opcode !== kOpcode.continuation) this.#fragments = { opcode, parts: [] };
		if (!this.#fragments) throw new Error('a fragment of nothing');
		this.#fragments.parts.push(payload);
		if (!final) return null;
		const { opcode: kind, parts } = this.#fragments;
		this.#fragments = null;
		return { opcode: kind, payload: parts.length === 1 ? parts[0] : Buffer.concat(parts) };
	}

	#peek(size) {
		if (this.#chunks.length > 1 && this.#chunks[0].length < size) this.#chunks = [this.#all()];
		return this.#chunks[0]?.subarray(0, size) ?? Buffer.alloc(0);
	}

	#take(size) {
		const all = this.#all();
		this.#chunks = all.length > size ? [all.subarray(size)] : [];
		this.#have -= size;
		return Buffer.from(all.subarray(0, size));
	}

	#all() {
		return this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
	}
}

function applyMask(data, key) {
	for (let i = 0; i < data.length; i += 1) data[i] ^= key[i & 3];
}
