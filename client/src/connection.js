/**
 * connection.js - one WebSocket with many live views on it, for as long as the caller wants it.
 *
 * The connection opens the socket, opens it again when it is lost (exponential back-off with
 * jitter; the server's own wish where it says one), subscribes every live view anew with the
 * position it stands at, and finds out by itself when a socket has died without a word.
 *
 * Units: the frames of one version, for one view or several, are collected in `#unit` until the
 * first one without `more`, checked together and applied together. What is collected when the
 * socket goes is thrown away, and comes again with the resume.
 *
 * Every callback of a socket checks that the socket is still the current one: a socket that was
 * given up may well speak again.
 */
import { Backoff } from './backoff.js';
import { Emitter } from './emitter.js';
import { TailwaterError } from './errors.js';
import { Live } from './live.js';

export const kSubprotocol = 'tailwater.v1';

const kSocketOpen = 1; // WebSocket.OPEN, which an injected constructor need not name
const kNormalClosure = 1000;
const kMalformed = 4400;
const kUnauthenticated = 4401;
const kTooManyConnections = 4429;
const kServerError = 4500;

const kDefaults = {
	connectTimeout: 10_000, // ms until a socket must have said `welcome`
	pongTimeout: 10_000, // ms until a `ping` must have an answer
	stableAfter: 5_000, // ms after which a connection counts as one that holds
	pingInterval: null, // ms of silence before a `ping`; null: what the server says
};

export class Connection extends Emitter {
	#lives = new Map(); // by subscription id
	#nextId = 1;
	#socket = null;
	#accepting = false; // the socket is open and the token, if any, is sent
	#unit = [];
	#backoff;
	#retryAfter = null; // ms, from going_away
	#timers = new Map();
	#lastHeard = 0;
	#pingInterval = 0;
	#onOnline = () => this.#retryNow();

	constructor(url, options = {}) {
		super();
		this.url = String(url);
		this.options = { ...kDefaults, ...options };
		this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
		if (typeof this.WebSocket !== 'function')
			throw new TypeError('no WebSocket here: pass one, e.g. that of tailwater-client/node');
		this.#backoff = new Backoff(options.backoff);
		this.status = 'connecting';
		this.server = null; // the welcome message
		this.#open(); // throws where the URL is none
		globalThis.addEventListener?.('online', this.#onOnline);
	}

	/** Subscribes to a live view ("schema.name", or a name in schema public). */
	subscribe(view, options = {}) {
		return this.#add(new Live(this, { view }, options));
	}

	/** Subscribes to a published endpoint; `options.params` are its arguments. */
	subscribeEndpoint(endpoint, options = {}) {
		return this.#add(new Live(this, { endpoint }, options));
	}

	/** The live views of this connection. */
	get lives() {
		return [...this.#lives.values()];
	}

	/** Closes the socket and every live view, for good. */
	close() {
		this.#shut(new TailwaterError('closed', 'the connection was closed'));
	}

	/** For Live.close(). */
	forget(live, { tell }) {
		if (!this.#lives.delete(live.id)) return;
		if (tell && this.#accepting) this.#send({ type: 'unsubscribe', id: live.id });
		this.#clearTimer(live.id);
	}

	// ---- the socket ----

	#open() {
		this.#setStatus('connecting');
		const socket = new this.WebSocket(this.url, [kSubprotocol]);
		this.#socket = socket;
		const current = (handler) => (event) => {
			if (this.#socket === socket) handler(event);
		};
		socket.onopen = current(() => this.#onOpen());
		socket.onmessage = current((event) => this.#onMessage(event.data));
		socket.onclose = current((event) => this.#onClose(event.code, event.reason));
		socket.onerror = () => {}; // says nothing; `close` follows
		this.#setTimer('connect', this.options.connectTimeout, () =>
			this.#abandon('the server did not answer'),
		);
	}

	async #onOpen() {
		const socket = this.#socket;
		if (this.options.token && !(await this.#authenticate())) return;
		if (this.#socket !== socket) return;
		this.#accepting = true;
		for (const live of this.lives) this.#subscribeNow(live);
	}

	/** Sends the token. Where the function that makes it fails, the socket is given up. */
	async #authenticate() {
		const socket = this.#socket;
		const { token } = this.options;
		try {
			const value = typeof token === 'function' ? await token() : token;
			if (this.#socket !== socket) return false;
			this.#send({ type: 'auth', token: value });
			return true;
		} catch (error) {
			this.emit('error', new TailwaterError('token', error.message, { retryable: true }));
			if (this.#socket === socket) this.#abandon('there is no token');
			return false;
		}
	}

	#onClose(code, reason) {
		this.#drop();
		if (this.#isFinal(code)) {
			const why = reason || 'the server refused the connection';
			this.#shut(new TailwaterError('refused', why, { closeCode: code }));
			return;
		}
		this.#reconnect(reason || `the connection was closed (${code})`);
	}

	/** Whether the same URL, origin and token would be refused again. */
	#isFinal(code) {
		if (code === kUnauthenticated && typeof this.options.token === 'function') return false;
		return code >= kMalformed && code < kServerError && code !== kTooManyConnections;
	}

	/** Gives up a socket that is dead or talks nonsense, and opens another one. */
	#abandon(why, code = kNormalClosure) {
		const socket = this.#socket;
		this.#drop();
		closeQuietly(socket, code, why);
		this.#reconnect(why);
	}

	/** From here on nothing that the socket says is heard. */
	#drop() {
		this.#socket = null;
		this.#accepting = false;
		this.#unit = [];
		this.server = null;
		this.#clearTimers();
		for (const live of this.lives) live.stale();
	}

	#reconnect(reason) {
		let wait = this.#backoff.next();
		if (this.#retryAfter !== null) wait = this.#backoff.spread(this.#retryAfter, wait);
		this.#retryAfter = null;
		this.#setTimer('reconnect', wait, () => this.#open());
		this.#setStatus('waiting', { reason, retryIn: wait });
	}

	/** The network is back: no use in waiting longer. */
	#retryNow() {
		if (this.status !== 'waiting') return;
		this.#clearTimer('reconnect');
		this.#open();
	}

	#shut(error) {
		if (this.status === 'closed') return;
		const socket = this.#socket;
		globalThis.removeEventListener?.('online', this.#onOnline);
		this.#drop();
		closeQuietly(socket, kNormalClosure, '');
		const lives = this.lives;
		this.#lives.clear();
		this.#setStatus('closed', { reason: error.message, error });
		if (error.code !== 'closed') this.emit('error', error);
		for (const live of lives) live.end(error);
	}

	#setStatus(status, details = {}) {
		const changed = this.status !== status;
		this.status = status;
		if (changed) this.emit('status', status, details);
	}

	#send(message) {
		if (this.#socket?.readyState !== kSocketOpen) return;
		this.#socket.send(JSON.stringify(message));
	}

	// ---- subscriptions ----

	#add(live) {
		if (this.status === 'closed') throw new TailwaterError('closed', 'the connection is closed');
		live.id = this.#newId();
		this.#lives.set(live.id, live);
		if (this.#accepting) this.#subscribeNow(live);
		return live;
	}

	#newId() {
		return String(this.#nextId++);
	}

	#subscribeNow(live) {
		if (live.state !== 'closed') this.#send(live.subscribeMessage());
	}

	/** Gives a new id, so that nothing that was sent to the old one is taken for an answer. */
	#rename(live) {
		this.#clearTimer(live.id);
		this.#lives.delete(live.id);
		live.id = this.#newId();
		this.#lives.set(live.id, live);
	}

	/** Subscribes again after a while, on the same socket. */
	#retry(live, error) {
		const wait = error?.retryAfterMs ?? 1000;
		live.stale();
		this.#setTimer(live.id, this.#backoff.spread(wait, wait / 4), () => this.#subscribeNow(live));
	}

	/** What the server sends does not fit what we hold: hear no more of it and ask again. */
	#resync(live, error) {
		live.emit('error', error);
		if (live.state === 'closed') return;
		if (error.code !== 'gap') live.forgetPosition();
		this.#send({ type: 'unsubscribe', id: live.id });
		this.#rename(live);
		this.#retry(live, { retryAfterMs: 100 });
	}

	#settle(live, what, error) {
		if (what === 'retry') this.#retry(live, error);
		if (what !== 'end') return;
		this.forget(live, { tell: false });
		live.end(error);
	}

	// ---- messages ----

	#onMessage(data) {
		this.#lastHeard = Date.now();
		let message;
		try {
			message = JSON.parse(data);
			if (typeof message?.type !== 'string') throw new Error('no type');
		} catch (error) {
			this.emit('error', new TailwaterError('malformed', error.message, { retryable: true }));
			this.#abandon('malformed message', kMalformed);
			return;
		}
		if (this.#unit.length > 0 && message.type !== 'delta')
			this.#abandon(`${message.type} within a unit`, kMalformed);
		else if (message.type === 'delta') this.#onDelta(message);
		else if (message.id !== undefined) this.#onLiveMessage(message);
		else this.#onConnectionMessage(message);
	}

	#onConnectionMessage(message) {
		switch (message.type) {
			case 'welcome':
				this.#onWelcome(message);
				break;
			case 'authed':
				this.emit('authed', { exp: message.exp });
				break;
			case 'token_expiring':
				if (this.options.token) this.#authenticate();
				break;
			case 'going_away':
				this.#retryAfter = message.retry_after_ms ?? null;
				this.emit('going_away', { retryAfterMs: message.retry_after_ms });
				break;
			case 'error':
				this.emit('error', TailwaterError.fromMessage(message));
				break;
			default: // `pong`, which #lastHeard has noted, and what later servers may say
		}
	}

	#onWelcome(message) {
		this.server = message;
		this.#clearTimer('connect');
		this.#pingInterval = this.options.pingInterval ?? (message.ping_interval ?? 25) * 1000;
		this.#setTimer('heartbeat', this.#pingInterval, () => this.#onHeartbeat());
		this.#setTimer('stable', this.options.stableAfter, () => this.#backoff.reset());
		this.#setStatus('open');
	}

	#onLiveMessage(message) {
		const live = this.#lives.get(message.id);
		if (!live) return; // closed, or known by another id now
		try {
			this.#dispatch(live, message);
		} catch (error) {
			if (!(error instanceof TailwaterError)) throw error;
			this.#resync(live, error);
		}
	}

	#dispatch(live, message) {
		switch (message.type) {
			case 'subscribed':
				return live.onSubscribed(message);
			case 'snapshot':
				return live.onSnapshot(message);
			case 'progress':
				return live.onProgress(message);
			case 'reset':
				return live.onReset(message);
			case 'error': {
				const error = TailwaterError.fromMessage(message);
				return this.#settle(live, live.onError(error), error);
			}
			case 'complete': {
				const why = `the server ended the subscription: ${message.reason}`;
				const error = live.lastError ?? new TailwaterError(message.reason, why);
				return this.#settle(live, live.onComplete(message), error);
			}
			default:
		}
	}

	#onDelta(message) {
		this.#unit.push(message);
		if (message.more) return;
		const unit = this.#unit;
		this.#unit = [];
		this.#applyUnit(unit);
	}

	/** Applies the frames of one version to all views they concern, then tells the callers. */
	#applyUnit(unit) {
		const frames = new Map();
		for (const frame of unit) {
			const live = this.#lives.get(frame.id);
			if (!live) continue;
			if (!frames.has(live)) frames.set(live, []);
			frames.get(live).push(frame);
		}
		const commits = new Map();
		for (const [live, its] of frames) {
			try {
				commits.set(live, live.prepareUnit(its));
			} catch (error) {
				if (!(error instanceof TailwaterError)) throw error;
				this.#resync(live, error);
			}
		}
		const lives = [...commits.keys()];
		const tell = [...commits.values()].map((commit) => commit());
		for (const emit of tell) emit();
		if (lives.length > 0) this.emit('unit', { ts: unit[unit.length - 1].ts, lives });
	}

	// ---- heartbeat ----

	/** After a silence: asks whether somebody is there. Pings of the server don't show up here. */
	#onHeartbeat() {
		const idle = Date.now() - this.#lastHeard;
		if (idle < this.#pingInterval) {
			this.#setTimer('heartbeat', this.#pingInterval - idle, () => this.#onHeartbeat());
			return;
		}
		const asked = Date.now();
		this.#send({ type: 'ping' });
		this.#setTimer('heartbeat', this.options.pongTimeout, () => {
			if (this.#lastHeard < asked) this.#abandon('the connection is dead');
			else this.#onHeartbeat();
		});
	}

	// ---- timers, by name ----

	#setTimer(name, ms, action) {
		this.#clearTimer(name);
		const run = () => {
			this.#timers.delete(name);
			action();
		};
		this.#timers.set(name, setTimeout(run, ms));
	}

	#clearTimer(name) {
		clearTimeout(this.#timers.get(name));
		this.#timers.delete(name);
	}

	#clearTimers() {
		for (const name of [...this.#timers.keys()]) this.#clearTimer(name);
	}
}

function closeQuietly(socket, code, reason) {
	try {
		// A reason may have 123 bytes; ours are short.
		socket?.close(code, reason);
	} catch {
		// A socket that cannot even be closed is none of our business any more.
	}
}
