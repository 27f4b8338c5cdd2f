/**
 * store.js - the rows of one live view, as the client holds them.
 *
 * Two kinds with the same methods: `KeyedRows` for views with a key, `BagRows` (a multiset) for
 * views without. Changes are applied in two steps: `prepare` checks the changes of a whole unit
 * against the rows and changes nothing; `commit` cannot fail. So a unit that does not fit leaves no
 * trace, and the units of several views can be applied together or not at all.
 *
 * Rows are never changed in place: an update puts a new object in the old one's place, so a caller
 * may keep a row and compare rows by identity.
 */
import { canonicalJson } from './canonical.js';
import { TailwaterError } from './errors.js';

const desync = (message) => new TailwaterError('desync', message, { retryable: true });

/** A store for a view with these key columns; `null` for a view without a key. */
export function createStore(key, { partial = false } = {}) {
	return key === null ? new BagRows(partial) : new KeyedRows(key, partial);
}

export class KeyedRows {
	/**
	 * @param {string[]} key names of the key columns
	 * @param {boolean} partial the store was not filled by a snapshot: changes of rows that it
	 *   does not hold are nothing wrong
	 */
	constructor(key, partial = false) {
		this.key = key;
		this.partial = partial;
		/** @type {Map<string, object>} by the JSON of the key's values */
		this.rows = new Map();
	}

	get size() {
		return this.rows.size;
	}

	idOf(row) {
		return JSON.stringify(this.key.map((column) => row[column]));
	}

	/** Adds a row of a snapshot. */
	load(row) {
		const id = this.idOf(row);
		if (this.rows.has(id)) throw desync(`the snapshot holds the key ${id} twice`);
		this.rows.set(id, row);
	}

	*all() {
		yield* this.rows.values();
	}

	/** Checks the changes of a unit; returns what `commit` needs. */
	prepare(changes) {
		const touched = new Set();
		return changes.flatMap((change) => {
			const [sign, what, columns] = change;
			const id = sign === '+' ? this.idOf(what) : JSON.stringify(what);
			if (touched.has(id)) throw desync(`the key ${id} occurs twice in one unit`);
			touched.add(id);
			return this.#check(sign, id, what, columns) ?? [];
		});
	}

	#check(sign, id, what, columns) {
		const old = this.rows.get(id);
		if (sign === '+') {
			if (old && !this.partial) throw desync(`a row with the key ${id} is already there`);
			return { kind: old ? 'update' : 'insert', id, row: what, old };
		}
		if (sign !== '-' && sign !== '~') throw desync(`unknown change ${JSON.stringify(sign)}`);
		if (!old) {
			if (this.partial) return null;
			throw desync(`there is no row with the key ${id}`);
		}
		if (sign === '-') return { kind: 'delete', id, row: old, old };
		return { kind: 'update', id, row: { ...old, ...columns }, old };
	}

	/** Applies what `prepare` returned; returns the changes in the form that callers see. */
	commit(prepared) {
		for (const { kind, id, row } of prepared) {
			if (kind === 'delete') this.rows.delete(id);
			else this.rows.set(id, row);
		}
		return prepared.map(({ kind, id, row, old }) => ({ kind, key: JSON.parse(id), row, old }));
	}

	/** The net changes from `before` (a store, or null) to this one. */
	since(before) {
		const changes = [];
		const old = before instanceof KeyedRows ? before.rows : new Map();
		for (const [id, row] of this.rows) {
			const was = old.get(id);
			const key = JSON.parse(id);
			if (!was) changes.push({ kind: 'insert', key, row, old: undefined });
			else if (canonicalJson(was) !== canonicalJson(row))
				changes.push({ kind: 'update', key, row, old: was });
			else this.rows.set(id, was); // the same row keeps its identity
		}
		for (const [id, row] of old)
			if (!this.rows.has(id)) changes.push({ kind: 'delete', key: JSON.parse(id), row, old: row });
		return changes;
	}
}

export class BagRows {
	constructor(partial = false) {
		this.key = null;
		this.partial = partial;
		/** @type {Map<string, object>} one object for all copies of a row, by its canonical JSON */
		this.rows = new Map();
		/** @type {Map<string, number>} how many copies; never 0 */
		this.counts = new Map();
	}

	get size() {
		let size = 0;
		for (const count of this.counts.values()) size += count;
		return size;
	}

	load(row) {
		this.#add(canonicalJson(row), row, 1);
	}

	/** Every row as often as it is there. */
	*all() {
		for (const [id, row] of this.rows)
			for (let n = this.counts.get(id); n > 0; n -= 1) yield row;
	}

	prepare(changes) {
		const net = new Map();
		for (const [diff, row] of changes) {
			if (!Number.isInteger(diff)) throw desync(`${JSON.stringify(diff)} is no number of copies`);
			const id = canonicalJson(row);
			const entry = net.get(id) ?? { id, row, diff: 0 };
			entry.diff += diff;
			net.set(id, entry);
		}
		const prepared = [...net.values()].filter((entry) => entry.diff !== 0);
		for (const entry of prepared) {
			const have = this.counts.get(entry.id) ?? 0;
			if (have + entry.diff >= 0) continue;
			if (!this.partial) throw desync(`there are not ${-entry.diff} copies of the row ${entry.id}`);
			entry.diff = -have;
		}
		return prepared;
	}

	commit(prepared) {
		for (const { id, row, diff } of prepared) this.#add(id, row, diff);
		return prepared.map(({ row, diff }) => bagChange(row, diff));
	}

	since(before) {
		const changes = [];
		const old = before instanceof BagRows ? before : new BagRows();
		for (const [id, row] of this.rows) {
			const diff = this.counts.get(id) - (old.counts.get(id) ?? 0);
			if (diff !== 0) changes.push(bagChange(row, diff));
		}
		for (const [id, row] of old.rows)
			if (!this.rows.has(id)) changes.push(bagChange(row, -old.counts.get(id)));
		return changes;
	}

	#add(id, row, diff) {
		const count = (this.counts.get(id) ?? 0) + diff;
		if (count === 0) {
			this.counts.delete(id);
			this.rows.delete(id);
			return;
		}
		this.counts.set(id, count);
		if (!this.rows.has(id)) this.rows.set(id, row);
	}
}

function bagChange(row, diff) {
	return { kind: diff > 0 ? 'insert' : 'delete', row, count: Math.abs(diff) };
}
