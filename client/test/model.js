/**
 * model.js - a small server that is right by construction: tables in memory, a list of versions,
 * and the protocol's answers computed from them by brute force.
 *
 * Used to try the client against random histories with random cuts: whatever is cut when, a client
 * that is left in peace must end with the rows of its filter.
 */
import { canonicalJson } from '../src/index.js';
import { delta, snapshot, subscribed, welcome } from './fake.js';

export class ModelServer {
	constructor({ keyed, retained = 1000, chunk = 3 }) {
		this.keyed = keyed;
		this.retained = retained;
		this.chunk = chunk;
		this.versions = [[]]; // rows as of each version
		this.clients = new Set();
		this.answers = { snapshot: 0, resume: 0, delta: 0 };
	}

	get version() {
		return this.versions.length - 1;
	}

	/** Plays the server on this fake socket. `budget`: messages until the line is cut. */
	accept(socket, budget = Infinity) {
		const client = { socket, budget, subscriptions: new Map() };
		this.clients.add(client);
		socket.onsent = (message) => this.#answer(client, message);
		socket.open();
		this.#say(client, welcome);
	}

	/** A new version with these rows. */
	commit(rows) {
		this.versions.push(rows);
		for (const client of [...this.clients]) this.#publish(client);
	}

	rows(group, version = this.version) {
		return this.versions[version].filter((row) => row.group === group);
	}

	#say(client, message) {
		if (!this.clients.has(client)) return;
		client.budget -= 1;
		if (client.budget >= 0) return client.socket.say(message);
		this.clients.delete(client);
		client.socket.cut();
	}

	/** From now on no line is cut. */
	keepPeace() {
		for (const client of this.clients) client.budget = Infinity;
	}

	#answer(client, message) {
		if (message.type === 'ping') this.#say(client, { type: 'pong' });
		if (message.type === 'unsubscribe') client.subscriptions.delete(message.id);
		if (message.type !== 'subscribe') return;
		const { id, resume } = message;
		const sub = { id, group: message.filter[0].val, at: this.version };
		client.subscriptions.set(id, sub);
		const key = this.keyed ? ['k'] : null;
		const from = resume === undefined ? -1 : Number(resume.slice(1));
		if (from >= 0 && from >= this.version - this.retained) {
			this.answers.resume += 1;
			this.#say(client, subscribed(id, { key, mode: 'resume', recovered: true, pos: resume }));
			sub.at = from;
			this.#publish(client);
			return;
		}
		this.answers.snapshot += 1;
		const pos = `v${sub.at}`;
		this.#say(client, subscribed(id, { key, pos }));
		const rows = this.rows(sub.group);
		for (let i = 0; i === 0 || i < rows.length; i += this.chunk) {
			const more = i + this.chunk < rows.length;
			this.#say(client, snapshot(id, rows.slice(i, i + this.chunk), { pos, more }));
		}
	}

	#publish(client) {
		const frames = [];
		for (const sub of client.subscriptions.values()) {
			const changes = this.#difference(this.rows(sub.group, sub.at), this.rows(sub.group));
			if (changes.length === 0) continue;
			const pos = `v${this.version}`;
			for (let i = 0; i < changes.length; i += this.chunk)
				frames.push(delta(sub.id, i === 0 ? `v${sub.at}` : pos, pos, changes.slice(i, i + this.chunk)));
			sub.at = this.version;
		}
		this.answers.delta += frames.length;
		frames.forEach((frame, i) => this.#say(client, i < frames.length - 1 ? { ...frame, more: true } : frame));
	}

	#difference(before, after) {
		return this.keyed ? keyedDifference(before, after) : bagDifference(before, after);
	}
}

function keyedDifference(before, after) {
	const old = new Map(before.map((row) => [row.k, row]));
	const now = new Map(after.map((row) => [row.k, row]));
	const changes = [];
	for (const row of before) if (!now.has(row.k)) changes.push(['-', [row.k]]);
	for (const row of after) {
		const was = old.get(row.k);
		if (!was) changes.push(['+', row]);
		else if (was.v !== row.v) changes.push(['~', [row.k], { v: row.v }]);
	}
	return changes;
}

function bagDifference(before, after) {
	const net = new Map();
	const add = (row, diff) => {
		const id = canonicalJson(row);
		net.set(id, [(net.get(id)?.[0] ?? 0) + diff, row]);
	};
	for (const row of before) add(row, -1);
	for (const row of after) add(row, 1);
	return [...net.values()].filter(([diff]) => diff !== 0);
}
