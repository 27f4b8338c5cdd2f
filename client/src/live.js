/**
 * live.js - one subscription: a view, or a filtered part of it, that stays up to date.
 *
 * The connection feeds it the server's messages; it owns the rows, the position and the state:
 *
 *   pending ──subscribed──► loading ──last snapshot chunk──► live
 *      ▲                                                       │ socket lost, error that passes
 *      └──────────── subscribe again, with `resume` ◄── stale ◄┘
 *   closed: by close(), or because the server ended it for good.
 *
 * Invariant: `rows` is at every moment the view (filtered) as of `pos`. A snapshot is built aside
 * and swapped in at its end; a unit is applied whole (see Connection); so after a cut in the middle
 * of either, `pos` is still what to resume with.
 */
import { Emitter } from './emitter.js';
import { TailwaterError } from './errors.js';
import { createStore } from './store.js';

export class Live extends Emitter {
	#connection;
	#store = null;
	#staging = null; // the snapshot that is being received
	#lastError = null;
	#settle;

	/** Made by `Connection.subscribe`. `source` is {view} or {endpoint}. */
	constructor(connection, source, options) {
		super();
		this.#connection = connection;
		this.view = source.view ?? null;
		this.endpoint = source.endpoint ?? null;
		this.options = options;
		this.id = null;
		this.state = 'pending';
		this.schema = null;
		this.key = null;
		this.pos = null;
		this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
		this.ready.catch(() => {}); // whoever awaits it hears; nobody must
		if (options.saved) this.#restore(options.saved);
	}

	/** Rows by the JSON of their key's values; of a view without a key, by the row's own JSON. */
	get rows() {
		return this.#store?.rows ?? new Map();
	}

	/** Number of rows, copies included. */
	get size() {
		return this.#store?.size ?? 0;
	}

	/** All rows; those of a view without a key as often as they occur. */
	values() {
		return this.#store?.all() ?? [].values();
	}

	/** The row with these key values, in the order of `key`. */
	get(...key) {
		return this.rows.get(JSON.stringify(key));
	}

	/** How often this row occurs in a view without a key. */
	count(id) {
		return this.#store?.counts?.get(id) ?? (this.rows.has(id) ? 1 : 0);
	}

	/** What `saved` of a later subscription to the same thing takes, to go on from here. */
	save() {
		if (this.pos === null) return null;
		return { pos: this.pos, key: this.key, rows: [...this.values()] };
	}

	/** Ends the subscription. The rows stay as they are. */
	close() {
		if (this.state === 'closed') return;
		this.#connection.forget(this, { tell: true });
		this.end(new TailwaterError('closed', 'the live view was closed'));
	}

	// ---- for the connection ----

	/** The `subscribe` message; a new socket or a lost thread starts with one. */
	subscribeMessage() {
		const { filter, columns, params, snapshot } = this.options;
		this.#staging = null;
		this.#lastError = null;
		this.#setState('pending');
		return {
			type: 'subscribe',
			id: this.id,
			...(this.endpoint === null ? { view: this.view } : { endpoint: this.endpoint }),
			...(params && { params }),
			...(filter && { filter: normalizeFilter(filter) }),
			...(columns && { columns }),
			...(snapshot === false && { snapshot: false }),
			...(this.pos !== null && { resume: this.pos }),
		};
	}

	/** The socket is gone: what was half received is worth nothing. */
	stale() {
		this.#staging = null;
		if (this.state !== 'closed') this.#setState('stale');
	}

	onSubscribed(message) {
		this.schema = message.schema;
		this.key = message.key;
		if (message.mode === 'snapshot') {
			this.#staging = createStore(message.key);
			this.#setState('loading');
			return;
		}
		this.#staging = null;
		if (!message.recovered || !this.#store) {
			// Changes from now on only: what came before, if anything, says nothing any more.
			this.#replace(createStore(message.key, { partial: true }), message.pos);
		}
		this.pos = message.pos;
		this.#becomeLive();
	}

	onSnapshot(message) {
		if (!this.#staging) throw gap('a snapshot that was not announced');
		for (const row of message.rows) this.#staging.load(row);
		if (message.more) return;
		const staged = this.#staging;
		this.#staging = null;
		this.#replace(staged, message.pos);
		this.#becomeLive();
	}

	onProgress(message) {
		if (this.state === 'live') this.pos = message.pos;
	}

	onReset(message) {
		this.#staging = null;
		this.#setState('loading');
		this.emit('reset', { reason: message.reason });
	}

	/**
	 * Checks the frames of one unit that are for this view. Returns a function that applies them
	 * and returns one that tells the callers. Throws where they do not fit.
	 */
	prepareUnit(frames) {
		if (this.state !== 'live') throw gap(`a change while the view is ${this.state}`);
		const { pos, ts } = frames[frames.length - 1];
		frames.forEach((frame, i) => {
			const follows = frame.prev === this.pos || (i > 0 && frame.prev === frames[i - 1].pos);
			if (!follows) throw gap('changes before these are missing');
		});
		const prepared = this.#store.prepare(frames.flatMap((frame) => frame.changes));
		return () => {
			const changes = this.#store.commit(prepared);
			this.pos = pos;
			return () => this.emit('change', { pos, ts, snapshot: false, changes });
		};
	}

	/** An `error` message. Returns what to do: 'retry', 'end', or 'wait' for its `complete`. */
	onError(error) {
		this.#lastError = error;
		this.emit('error', error);
		if (this.state === 'live' || this.state === 'loading') return 'wait';
		return error.retryable ? 'retry' : 'end';
	}

	/** A `complete` message. Returns 'retry' or 'end'. */
	onComplete(message) {
		if (message.reason === 'forbidden' && this.#store)
			this.#replace(createStore(this.key), null);
		if (message.reason === 'error' && this.#lastError?.retryable) return 'retry';
		return 'end';
	}

	get lastError() {
		return this.#lastError;
	}

	/** Forgets the position: the next `subscribe` asks for a snapshot. The rows stay till then. */
	forgetPosition() {
		this.pos = null;
	}

	end(error, reason = error.code) {
		if (this.state === 'closed') return;
		this.#staging = null;
		this.#setState('closed');
		this.#settle.reject(error);
		this.emit('complete', { reason, error });
	}

	// ---- inside ----

	#restore(saved) {
		this.key = saved.key;
		this.pos = saved.pos;
		this.#store = createStore(saved.key);
		for (const row of saved.rows) this.#store.load(row);
	}

	#replace(store, pos) {
		const changes = store.since(this.#store);
		this.#store = store;
		this.pos = pos;
		this.emit('change', { pos, ts: undefined, snapshot: true, changes });
	}

	#becomeLive() {
		this.#setState('live');
		this.#settle.resolve(this);
	}

	#setState(state) {
		if (this.state === state) return;
		this.state = state;
		this.emit('state', state);
	}
}

/** A hole in what the server sent; the rows and the position are still right. */
const gap = (message) => new TailwaterError('gap', message, { retryable: true });

/** `{channel: 'cats'}` is short for `[{col: 'channel', op: 'eq', val: 'cats'}]`. */
export function normalizeFilter(filter) {
	if (Array.isArray(filter)) return filter.map(({ col, op = 'eq', val }) => ({ col, op, val }));
	return Object.entries(filter).map(([col, val]) => ({ col, op: 'eq', val }));
}
