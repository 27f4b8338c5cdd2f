/**
 * node.js - a WebSocket for Node.js before 22, which has none, without a dependency.
 *
 * As much of the browser's interface as the client uses: readyState, protocol, send, close, and the
 * four `on…` handlers. Text messages only. From Node.js 22 on the runtime's own will do as well.
 *
 *     import { connect } from 'tailwater-client/node';
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { randomBytes } from 'node:crypto';
import { acceptOf, decodeClose, encodeClose, encodeFrame, FrameReader, kOpcode } from './frames.js';
import { connect as connectWith } from './index.js';

export * from './index.js';

const kCloseTimeout = 2_000; // ms that the other side has to answer a close

export class NodeWebSocket {
	#request;
	#socket = null;
	#reader = new FrameReader();
	#closeTimer;

	constructor(url, protocols = []) {
		const { protocol, href } = new URL(url);
		if (!['ws:', 'wss:'].includes(protocol)) throw new SyntaxError(`no WebSocket URL: ${href}`);
		this.url = href;
		this.protocol = '';
		this.readyState = 0;
		this.onopen = this.onmessage = this.onclose = this.onerror = null;
		this.#handshake(href.replace(/^ws/, 'http'), [].concat(protocols));
	}

	send(text) {
		if (this.readyState !== 1) return;
		this.#write(kOpcode.text, text);
	}

	close(code = 1000, reason = '') {
		if (this.readyState >= 2) return;
		const connecting = this.readyState === 0;
		this.readyState = 2;
		if (connecting) {
			this.#request.destroy();
			return;
		}
		this.#write(kOpcode.close, encodeClose(code, reason));
		this.#closeTimer = setTimeout(() => this.#socket.destroy(), kCloseTimeout);
	}

	#handshake(url, protocols) {
		const key = randomBytes(16).toString('base64');
		const request = url.startsWith('https:') ? httpsRequest : httpRequest;
		this.#request = request(url, {
			headers: {
				connection: 'Upgrade',
				upgrade: 'websocket',
				'sec-websocket-version': '13',
				'sec-websocket-key': key,
				...(protocols.length > 0 && { 'sec-websocket-protocol': protocols.join(', ') }),
			},
		});
		this.#request.on('upgrade', (response, socket, head) => {
			if (response.headers['sec-websocket-accept'] !== acceptOf(key)) {
				socket.destroy();
				this.#fail(new Error('the server does not speak WebSocket'));
				return;
			}
			this.protocol = response.headers['sec-websocket-protocol'] ?? '';
			this.#opened(socket, head);
		});
		this.#request.on('response', (response) => {
			response.resume();
			this.#fail(new Error(`the server answered with HTTP status ${response.statusCode}`));
		});
		this.#request.on('error', (error) => this.#fail(error));
		this.#request.end();
	}

	#opened(socket, head) {
		this.#socket = socket;
		this.readyState = 1;
		socket.setNoDelay(true);
		socket.on('data', (chunk) => this.#read(chunk));
		socket.on('error', () => {}); // `close` follows
		socket.on('close', () => this.#closed(1006, ''));
		this.onopen?.({ type: 'open' });
		if (head.length > 0) this.#read(head);
	}

	#read(chunk) {
		let messages;
		try {
			messages = [...this.#reader.push(chunk)];
		} catch (error) {
			this.#socket.destroy();
			this.#fail(error);
			return;
		}
		for (const { opcode, payload } of messages) this.#onFrame(opcode, payload);
	}

	#onFrame(opcode, payload) {
		if (opcode === kOpcode.ping) this.#write(kOpcode.pong, payload);
		else if (opcode === kOpcode.text && this.readyState === 1)
			this.onmessage?.({ type: 'message', data: payload.toString('utf8') });
		else if (opcode === kOpcode.close) {
			const { code, reason } = decodeClose(payload);
			if (this.readyState === 1) this.#write(kOpcode.close, payload);
			this.#socket.end();
			this.#closed(code, reason);
		}
	}

	#write(opcode, payload) {
		this.#socket.write(encodeFrame(opcode, payload, { mask: true }));
	}

	#fail(error) {
		if (this.readyState === 3) return;
		this.onerror?.({ type: 'error', error });
		this.#closed(1006, error.message);
	}

	#closed(code, reason) {
		if (this.readyState === 3) return;
		this.readyState = 3;
		clearTimeout(this.#closeTimer);
		this.onclose?.({ type: 'close', code, reason, wasClean: code !== 1006 });
	}
}

/** As `connect` of tailwater-client, with this WebSocket where the caller passes none. */
export function connect(url, options = {}) {
	return connectWith(url, { WebSocket: NodeWebSocket, ...options });
}
