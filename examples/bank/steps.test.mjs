/**
 * The bank: eight writers transfer money at random, some of it in vain; whoever follows the views, with TAIL or on one
 * socket, finds in every version that the branches add up to the total, and so does the deferred view.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { canonicalRows, connect } from '../../client/src/node.js';
import { gatewayPort, Line, Psql, recordingWebSocket, rowsInSql, until } from '../../client/test/server.js';
import { loaded } from '../steps.mjs';

const kSkip = gatewayPort ? false : 'needs a server: run it with make check-one T=steps';

const kTotal = 100_000n;
const kBranches = 5;
const kWriters = 8;
const kSeconds = 4;

const kByBranch = 'SELECT branch, accounts::text, balance::text FROM by_branch';
const kAll = 'SELECT accounts::text, balance::text FROM total';
const kByBalance = 'SELECT balance::text, accounts::text FROM by_balance';

let writer;
let reader;
let line;
let db;
const sessions = [];

before(async () => {
	if (kSkip) return;
	writer = await loaded(new URL('bank.sql', import.meta.url));
	await writer.run('GRANT SELECT ON by_branch, total, by_balance TO tester');
	reader = new Psql();
	line = await new Line().open();
	// transactions of two transfers deadlock over the views' rows as they would over any row that all of them update
	sessions.push(...Array.from({ length: kWriters }, () => new Psql({ PGOPTIONS: '-c deadlock_timeout=10ms' })));
});

after(() => {
	db?.close();
	line?.close();
	for (const session of [writer, reader, ...sessions]) session?.close();
});

/** Small transactions of every kind until the time is over; gives how many committed. */
async function transferAtRandom(psql, end) {
	const account = () => 1 + Math.floor(Math.random() * 100);
	const transfer = () => `SELECT FROM transfer(${account()}, ${account()}, ${1 + Math.floor(Math.random() * 500)});`;
	let commits = 0;
	while (Date.now() < end) {
		const kind = Math.random();
		try {
			if (kind < 0.6) await psql.run(transfer());
			else if (kind < 0.75) await psql.run(`BEGIN; ${transfer()} SAVEPOINT s; ${transfer()} ROLLBACK TO s; ${transfer()} COMMIT;`);
			else if (kind < 0.9) await psql.run(`UPDATE account SET branch = (branch + 1) % ${kBranches} WHERE id = ${account()};`);
			else await psql.run(`BEGIN; ${transfer()} ROLLBACK;`);
			if (kind < 0.9) commits += 1;
		} catch (error) {
			if (!/40P01|40001/.test(error.message)) throw error;
			await psql.run('ROLLBACK;', 60_000);
		}
	}
	return commits;
}

/** Applies TAIL's rows of the views version by version; adds up after each. */
class Books {
	#rows = new Map();
	versions = 0;
	deferredVersions = 0;

	/** `changes`: [version, diff, view, …row] of all views */
	apply(changes) {
		const order = changes.map(([version]) => BigInt(version));
		for (const version of [...new Set(order)].sort((a, b) => (a < b ? -1 : 1))) {
			for (const [of, diff, ...row] of changes)
				if (BigInt(of) === version) this.#count(JSON.stringify(row), Number(diff));
			this.versions += 1;
			if (changes.some(([of, , view]) => BigInt(of) === version && view === 'by_balance')) this.deferredVersions += 1;
			this.#check(version);
		}
	}

	#count(row, diff) {
		const n = (this.#rows.get(row) ?? 0) + diff;
		assert.ok(n >= 0, `a row that is not there goes: ${row}`);
		if (n) this.#rows.set(row, n);
		else this.#rows.delete(row);
	}

	#check(version) {
		const rows = [...this.#rows].map(([row, n]) => {
			assert.equal(n, 1, row);
			return JSON.parse(row);
		});
		const branches = rows.filter(([view]) => view === 'by_branch');
		const total = rows.filter(([view]) => view === 'total');
		const balances = rows.filter(([view]) => view === 'by_balance');
		assert.equal(branches.reduce((sum, [, , , balance]) => sum + BigInt(balance), 0n), kTotal, `version ${version}`);
		assert.deepEqual(total, [['total', '100', String(kTotal)]]);
		assert.equal(balances.reduce((sum, [, balance, accounts]) => sum + BigInt(balance) * BigInt(accounts), 0n), kTotal, `version ${version}`);
		assert.equal(balances.reduce((sum, [, , accounts]) => sum + BigInt(accounts), 0n), 100n, `version ${version}`);
	}
}

/** All cursors, in one session; each FETCH takes what is ready. `stop` takes the rest. */
function followWithTail() {
	const books = new Books();
	const waiting = [];
	let newest = null;
	let over = false;
	// a version counts once all cursors are past it: their progress rows say so
	const fetch = async (cursor, view) => {
		let reached = 0n;
		for (const [version, progressed, diff, ...row] of await reader.run(`FETCH ALL ${cursor} WITH (TIMEOUT = '0.2s')`)) {
			if (BigInt(version) > reached) reached = BigInt(version);
			if (progressed === 'f') waiting.push([version, diff, view, ...row]);
		}
		return reached;
	};
	const past = { b: 0n, t: 0n, d: 0n };
	const round = async () => {
		for (const [cursor, view] of [['b', 'by_branch'], ['t', 'total'], ['d', 'by_balance']]) {
			const reached = await fetch(cursor, view);
			if (reached > past[cursor]) past[cursor] = reached;
		}
		newest = Object.values(past).reduce((least, reached) => (reached < least ? reached : least));
		const ready = waiting.filter(([version]) => BigInt(version) <= newest);
		const rest = waiting.filter(([version]) => BigInt(version) > newest);
		waiting.splice(0, waiting.length, ...rest);
		books.apply(ready);
	};
	const running = (async () => {
		await reader.run(`BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE b CURSOR FOR TAIL by_branch WITH (PROGRESS);
			DECLARE t CURSOR FOR TAIL total WITH (PROGRESS); DECLARE d CURSOR FOR TAIL by_balance WITH (PROGRESS);`);
		while (!over) await round();
	})();
	running.catch(() => {});
	return {
		books,
		started: () => newest !== null,
		async stop(version) {
			over = true;
			await running;
			await until(() => `TAIL at ${newest}, not ${version}`, async () => {
				await round();
				return newest >= version;
			});
			assert.deepEqual(waiting, []);
		},
	};
}

/** All views on one socket: adds up after each unit, that is after a delta without `more`. */
function followOnSocket() {
	const state = { units: 0, problems: [], ready: false };
	const views = new Map();
	const apply = (frame) => {
		const copy = views.get(frame.id);
		if (frame.type === 'snapshot') for (const row of frame.rows) copy.rows.set(copy.key(row), row);
		for (const change of frame.changes ?? []) {
			if (typeof change[0] === 'number') {
				if (change[0] > 0) copy.rows.set(JSON.stringify(change[1]), change[1]);
				else copy.rows.delete(JSON.stringify(change[1]));
			} else if (change[0] === '+') copy.rows.set(copy.key(change[1]), change[1]);
			else if (change[0] === '-') copy.rows.delete(JSON.stringify(change[1]));
			else Object.assign(copy.rows.get(JSON.stringify(change[1])), change[2]);
		}
	};
	const check = () => {
		const [branches, total, balances] = ['public.by_branch', 'public.total', 'public.by_balance'].map((name) => [...[...views.values()].find(({ view }) => view === name).rows.values()]);
		const sum = branches.reduce((n, { balance }) => n + BigInt(balance), 0n);
		const deferred = balances.reduce((n, { balance, accounts }) => n + BigInt(balance) * BigInt(accounts), 0n);
		if (sum !== kTotal || deferred !== kTotal || total.length !== 1 || BigInt(total[0].balance) !== kTotal)
			state.problems.push(`unit ${state.units}: ${JSON.stringify([branches, total, balances])}`);
	};
	const hear = (frame) => {
		if (frame.type === 'subscribed') {
			const key = (row) => JSON.stringify(frame.key ? frame.key.map((name) => row[name]) : row);
			views.set(frame.id, { view: frame.view, key, rows: new Map(), complete: false });
			return;
		}
		if (frame.type === 'snapshot') views.get(frame.id).complete = !frame.more;
		else if (frame.type !== 'delta') return state.problems.push(JSON.stringify(frame));
		apply(frame);
		state.ready = views.size === 3 && [...views.values()].every(({ complete }) => complete);
		if (!state.ready || frame.more) return;
		state.units += 1;
		check();
	};
	const frames = { push: hear };
	db = connect(line.url, { WebSocket: recordingWebSocket(frames), backoff: { min: 20, max: 200 } });
	state.live = [db.subscribe('by_branch'), db.subscribe('total'), db.subscribe('by_balance')];
	return state;
}

test('in every version the branches add up to the total', { skip: kSkip, timeout: 90_000 }, async () => {
	const tail = followWithTail();
	const socket = followOnSocket();
	await until('the followers to be there', () => tail.started() && socket.ready, 20_000);

	const end = Date.now() + kSeconds * 1000;
	const commits = await Promise.all(sessions.map((session) => transferAtRandom(session, end)));
	assert.ok(commits.every((n) => n > 10), `commits: ${commits}`);

	await writer.run("SELECT tailwater.sync('10s')");
	const [[version]] = await writer.run('SELECT tailwater.version()');
	await tail.stop(BigInt(version));
	const inSql = [canonicalRows(await rowsInSql(writer, kByBranch)), canonicalRows(await rowsInSql(writer, kAll)), canonicalRows(await rowsInSql(writer, kByBalance))];
	await until('the socket to hold what psql reads', () => socket.live.every((live, i) => canonicalRows(live.values()) === inSql[i]));
	assert.deepEqual(socket.problems, []);
	assert.ok(tail.books.versions > 10, `${tail.books.versions} versions by TAIL`);
	assert.ok(tail.books.deferredVersions > 10, `${tail.books.deferredVersions} versions of the deferred view`);
	assert.ok(socket.units > 10, `${socket.units} units by socket`);
	assert.deepEqual(await writer.run("SELECT tailwater.verify('by_branch'), tailwater.verify('total'), tailwater.verify('by_balance')"), [['0', '0', '0']]);
	console.log(`# ${commits.reduce((a, b) => a + b)} commits, ${tail.books.versions} versions by TAIL, ${tail.books.deferredVersions} with the deferred view, ${socket.units} units on the socket`);
});
