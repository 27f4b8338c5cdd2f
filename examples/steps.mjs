/**
 * steps.mjs - what the step by step tests of the examples share: frames of a subscriber, rows of a TAIL cursor,
 * and the comparison of all of them with what psql reads.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { canonicalJson, canonicalRows } from '../client/src/node.js';
import { Psql, rowsInSql, until } from '../client/test/server.js';

/** A psql session that has run an example's script. */
export async function loaded(url) {
	const psql = new Psql();
	await psql.run(readFileSync(url, 'utf8'), 60_000);
	return psql;
}

/** Waits for the frames of a step; gives their changes, one list per frame. */
export async function changesOf(one, frames = 1) {
	const got = [];
	await until(
		() => `${frames} frames, got ${JSON.stringify(got)}`,
		() => {
			got.push(...one.take());
			return got.length >= frames;
		},
	);
	assert.equal(got.length, frames, JSON.stringify(got));
	for (const frame of got) assert.deepEqual([frame.type, frame.more ?? false], ['delta', false]);
	return got.map((frame) => frame.changes);
}

/** The subscriber holds, byte for byte, what `select` gives in psql; and the view is its query. */
export async function compare(psql, one, view, select) {
	await until(
		() => `${select}: ${one.canonical()}`,
		async () => one.canonical() === canonicalRows(await rowsInSql(psql, select)),
	);
	assert.deepEqual(await psql.run(`SELECT tailwater.verify('${view}')`), [['0']]);
}

/** A TAIL cursor in a session of its own. `next` gives what a step brought: one list of [diff, row…] per version. */
export class Tail {
	#psql = new Psql();
	#version = '0';

	/** Opens the cursor; gives the rows of the snapshot, without versions. */
	async open(query, options = '') {
		await this.#psql.run(`BEGIN; DECLARE c CURSOR FOR TAIL ${query} ${options};`);
		return (await this.#fetch('1s')).flat();
	}

	/** The version up to which everything was read. */
	get version() {
		return this.#version;
	}

	/** The next versions' rows, sorted. Nothing may follow within `TIMEOUT`, which must be longer than a version takes. */
	async next() {
		return this.#fetch('1s');
	}

	close() {
		this.#psql.close();
	}

	async #fetch(timeout) {
		const versions = new Map();
		for (const [version, diff, ...row] of await this.#psql.run(`FETCH ALL c WITH (TIMEOUT = '${timeout}')`)) {
			if (!versions.has(version)) versions.set(version, []);
			versions.get(version).push([Number(diff), ...row]);
			this.#version = version;
		}
		return [...versions.values()].map((rows) => rows.sort((a, b) => (String(a) < String(b) ? -1 : 1)));
	}
}

/** The net of several versions: what is left of each row, sorted. */
export function net(versions) {
	const counts = new Map();
	for (const [diff, ...row] of versions.flat()) {
		const key = canonicalJson(row);
		counts.set(key, (counts.get(key) ?? 0) + diff);
	}
	return [...counts].filter(([, n]) => n !== 0).map(([key, n]) => [n, ...JSON.parse(key)]).sort((a, b) => a[0] - b[0]);
}
