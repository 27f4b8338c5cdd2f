/**
 * The game's statistics, step by step: subscribers of the leaderboard, of ana's numbers and of ana's document,
 * and TAIL cursors on the same.
 */
import assert from 'node:assert/strict';
import { connect as connectTcp, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { canonicalRows, connect, NodeWebSocket } from '../../client/src/node.js';
import { gatewayPort, rowsInSql, silence, subscriber, until } from '../../client/test/server.js';
import { changesOf, compare, loaded, Tail } from '../steps.mjs';

const kSkip = gatewayPort ? false : 'needs a server: run it with make check-one T=steps';

const kBoard = 'SELECT player_id, name, kills::text, rank::text FROM leaderboard';
const kStats = 'SELECT player_id, name, kills::text, deaths::text FROM player_stats WHERE player_id = 1';
const kDoc = 'SELECT * FROM user_doc WHERE id = 1';

const kNames = { ana: '1', bo: '2', cy: '3', di: '4' };

/** A line to the gateway from which nothing is read any more after `stop`. */
class StoppingLine {
	#pairs = new Set();
	#server;
	#stopped = false;

	async open() {
		this.#server = createServer((socket) => {
			const onward = connectTcp(gatewayPort, '127.0.0.1');
			this.#pairs.add([onward, socket]);
			for (const one of [socket, onward]) one.on('error', () => {});
			socket.on('close', () => onward.destroy());
			onward.on('close', () => socket.destroy());
			socket.pipe(onward);
			/* A client that was given up meanwhile, and comes back, hears nothing either. */
			if (!this.#stopped) onward.pipe(socket);
		});
		await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
		return this;
	}

	get url() {
		return `ws://127.0.0.1:${this.#server.address().port}/v1/stream`;
	}

	stop() {
		this.#stopped = true;
		for (const [onward, socket] of this.#pairs) onward.unpipe(socket).pause();
	}

	go() {
		this.#stopped = false;
		for (const [onward, socket] of this.#pairs) onward.pipe(socket);
	}

	close() {
		for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
		this.#server.close();
	}
}

let writer;
let board;
let stats;
let document;
/** TAIL cursors: on the leaderboard, ana's player_stats, ana's user_doc. */
const tails = {};
/** The leaderboard as the last step left it: [name, kills, rank]. */
let standing;

before(async () => {
	if (kSkip) return;
	writer = await loaded(new URL('shooter.sql', import.meta.url));
	await writer.run('GRANT SELECT ON player_stats, leaderboard, user_doc TO tester');
});

after(() => {
	for (const session of [writer, board, stats, document, ...Object.values(tails)]) session?.close();
});

const compareAll = async () => {
	await compare(writer, board, 'leaderboard', kBoard);
	await compare(writer, stats, 'player_stats', kStats);
	await compare(writer, document, 'user_doc', kDoc);
};

const tailRow = (diff) => ([name, kills, rank]) => [diff, kNames[name], name, String(kills), String(rank)];
const sorted = (rows) => rows.map(String).sort();

/** psql has exactly these rows, in this order. */
async function expectInSql(rows) {
	const got = await writer.run('SELECT name, kills, rank FROM leaderboard ORDER BY rank, player_id');
	assert.deepEqual(got, rows.map((row) => row.map(String)));
}

/** The step left these rows: psql has them, TAIL gives the difference in one version, the socket one frame. */
async function expectBoard(rows) {
	await expectInSql(rows);
	await changesOf(board);
	const among = (list, row) => list.some((other) => String(other) === String(row));
	const expected = [
		...standing.filter((row) => !among(rows, row)).map(tailRow(-1)),
		...rows.filter((row) => !among(standing, row)).map(tailRow(1)),
	];
	const versions = await tails.board.next();
	assert.equal(versions.length, 1, JSON.stringify(versions));
	assert.deepEqual(sorted(versions[0]), sorted(expected));
	standing = rows;
}

/** Takes what the subscribers of ana's rows and their cursors have, where a step is not about them. */
async function forgetAna() {
	await tails.stats.next();
	await tails.document.next();
	await compareAll();
	for (const one of [stats, document]) one.take();
}

test('1: the start', { skip: kSkip }, async () => {
	board = await subscriber('leaderboard');
	stats = await subscriber('player_stats', { filter: { player_id: 1 } });
	document = await subscriber('user_doc', { filter: { id: 1 } });
	standing = [['ana', 2, 1], ['bo', 1, 2], ['cy', 1, 2]];
	await expectInSql(standing);
	for (const name of ['board', 'stats', 'document']) tails[name] = new Tail();
	assert.deepEqual(sorted(await tails.board.open('leaderboard')), sorted(standing.map(tailRow(1))));
	assert.deepEqual(await tails.stats.open('(SELECT * FROM player_stats WHERE player_id = 1)'), [[1, '1', 'ana', '2', '0']]);
	assert.equal((await tails.document.open('(SELECT * FROM user_doc WHERE id = 1)')).length, 1);
	await compareAll();
	for (const one of [board, stats, document]) one.take();
});

test('2: two kills for cy in one transaction; ana hears nothing', { skip: kSkip }, async () => {
	await writer.run(`BEGIN; INSERT INTO gameevent (id, type, player_id, game_id) VALUES (6, 'kill', 3, 2);
		INSERT INTO gameevent (id, type, player_id, game_id) VALUES (7, 'kill', 3, 2); COMMIT`);
	await expectBoard([['cy', 3, 1], ['ana', 2, 2], ['bo', 1, 3]]);
	await silence(board, stats, document);
	assert.deepEqual(await tails.stats.next(), []);
	assert.deepEqual(await tails.document.next(), []);
	await compareAll();
});

test('3: one of them was an assist', { skip: kSkip }, async () => {
	await writer.run("UPDATE gameevent SET type = 'assist' WHERE id = 7");
	await expectBoard([['ana', 2, 1], ['cy', 2, 1], ['bo', 1, 3]]);
	await silence(board, stats, document);
	await compareAll();
});

test('4: a game goes, and with it four events', { skip: kSkip }, async () => {
	await writer.run('DELETE FROM game WHERE id = 1');
	await expectBoard([['cy', 2, 1], ['ana', 0, 2], ['bo', 0, 2]]);
	assert.deepEqual(await changesOf(stats), [[['~', [1], { kills: '0' }]]]);
	assert.deepEqual(await tails.stats.next(), [[[-1, '1', 'ana', '2', '0'], [1, '1', 'ana', '0', '0']]]);
	const [[[sign, , { doc }]]] = await changesOf(document);
	assert.equal(sign, '~');
	assert.deepEqual(doc, { id: 1, name: 'ana', kills: 0, events: { count: 0, items: [] } });
	assert.equal((await tails.document.next()).length, 1);
	await compareAll();
});

test('5: a kill was another player’s', { skip: kSkip }, async () => {
	await writer.run('UPDATE gameevent SET player_id = 4 WHERE id = 5');
	await expectBoard([['cy', 1, 1], ['di', 1, 1], ['ana', 0, 3]]);
	await silence(board, stats, document);
	await compareAll();
});

test('6: the newest five of ana’s events', { skip: kSkip }, async () => {
	const items = (...ids) => ids.map((id) => ({ id, type: 'kill', game: { id: 2, name: 'nuke' } }));
	const expectDoc = async (count, ...ids) => {
		const [[[sign, key, columns]]] = await changesOf(document);
		assert.deepEqual([sign, key], ['~', [1]]);
		assert.deepEqual(columns.doc, { id: 1, name: 'ana', kills: count, events: { count, items: items(...ids) } });
		const versions = await tails.document.next();
		assert.equal(versions.length, 1);
		assert.deepEqual(versions[0].map(([diff]) => diff), [-1, 1]);
		assert.deepEqual(JSON.parse(versions[0][1][2]), columns.doc);
		await compareAll();
	};
	await writer.run("INSERT INTO gameevent (id, type, player_id, game_id) SELECT id, 'kill', 1, 2 FROM generate_series(101, 112) id");
	await expectDoc(12, 112, 111, 110, 109, 108);
	await expectBoard([['ana', 12, 1], ['cy', 1, 2], ['di', 1, 2]]);
	await writer.run("INSERT INTO gameevent (id, type, player_id, game_id) VALUES (113, 'kill', 1, 2)");
	await expectDoc(13, 113, 112, 111, 110, 109);
	await expectBoard([['ana', 13, 1], ['cy', 1, 2], ['di', 1, 2]]);
	await writer.run('DELETE FROM gameevent WHERE id = 113');
	await expectDoc(12, 112, 111, 110, 109, 108);
	await expectBoard([['ana', 12, 1], ['cy', 1, 2], ['di', 1, 2]]);
	await forgetAna();
});

test('7: 100,000 kills while one client does not read: the others hear them, and it ends correct', { skip: kSkip, timeout: 120_000 }, async () => {
	const line = await new StoppingLine().open();
	const db = connect(line.url, { WebSocket: NodeWebSocket });
	const stopped = db.subscribe('user_doc');
	try {
		await stopped.ready;
		line.stop();
		const before = canonicalRows(stopped.values());
		for (let i = 0; i < 100; i += 1)
			await writer.run(`INSERT INTO gameevent (id, type, player_id, game_id)
				SELECT id, 'kill', 1 + id % 4, 2 FROM generate_series(${(i + 1) * 1000}, ${(i + 1) * 1000 + 999}) id`);
		await compareAll();
		assert.ok(document.take().length > 50, 'one that reads hears of it while it happens');
		assert.equal(canonicalRows(stopped.values()), before);
		line.go();
		const inSql = canonicalRows(await rowsInSql(writer, 'SELECT * FROM user_doc'));
		await until('the stopped client to catch up', () => canonicalRows(stopped.values()) === inSql, 30_000);
		await expectInSql([['ana', 25012, 1], ['cy', 25001, 2], ['di', 25001, 2]]);
	} finally {
		db.close();
		line.close();
	}
});
