// load.test.mjs - large snapshots and units, slow clients, restarts, latency.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Client, Mirror, http, json, role, sleep, sql } from './wire.mjs';

const open = async (...args) => { const c = await Client.open(...args); await c.next('welcome'); return c; };

async function schema(t, rows) {
	await sql(`DROP SCHEMA IF EXISTS load CASCADE; CREATE SCHEMA load; GRANT USAGE ON SCHEMA load TO ${role}; SET search_path = load;
		CREATE TABLE item (id int PRIMARY KEY, room int, text text);
		INSERT INTO item SELECT i, i % 10, repeat(md5(i::text), 4) FROM generate_series(1, ${rows}) i;
		CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS SELECT id, room, text FROM item;
		GRANT SELECT ON items TO ${role};`);
	t.after(() => sql('DROP SCHEMA IF EXISTS load CASCADE'));
}
const view = () => json('SELECT id, room, text FROM load.items');

test('a large snapshot comes in chunks, a large unit in frames', async t => {
	await schema(t, 20000);
	const c = await open(), m = new Mirror(c, '1');
	c.send({ type: 'subscribe', id: '1', view: 'load.items' });
	await c.next('subscribed', '1');
	await c.until(() => c.all.some(f => f.type === 'snapshot' && !f.more), 20000);
	const chunks = c.all.filter(f => f.type === 'snapshot');
	assert.ok(chunks.length > 5);
	for (const f of chunks) assert.ok(JSON.stringify(f).length <= 256 * 1024);
	assert.equal(new Set(chunks.map(f => f.pos)).size, 1);
	await m.equals(await view());
	await sql(`UPDATE load.item SET text = text || 'x'`);
	await c.until(() => c.all.some(f => f.type === 'delta' && !f.more), 20000);
	const unit = c.all.filter(f => f.type === 'delta');
	assert.ok(unit.length > 5);
	for (const f of unit) assert.ok(JSON.stringify(f).length <= 256 * 1024);
	assert.equal(new Set(unit.map(f => f.pos)).size, 1);
	assert.equal(new Set(unit.map(f => f.prev)).size, 1);
	assert.deepEqual(unit.slice(0, -1).every(f => f.more === true), true);
	await m.equals(await view());
	// one row larger than any chunk
	await sql(`UPDATE load.item SET text = repeat('y', 3000000) WHERE id = 1`);
	await c.until(() => c.all.some(f => f.type === 'delta' && JSON.stringify(f).length > 3000000), 20000);
	assert.equal(JSON.parse((await http('/v1/view/load.items')).body).length, 20000);
	c.close();
});

test('a client that stops reading holds nobody up and ends correct', async t => {
	await schema(t, 1000);
	const slow = await open(), fast = await open();
	const slowCopy = new Mirror(slow, '1'), fastCopy = new Mirror(fast, '1');
	await slow.subscribe('1', { view: 'load.items' });
	await fast.subscribe('1', { view: 'load.items' });
	slow.socket.pause();
	const before = fast.all.length;
	for (let i = 0; i < 60; i++)
		await sql(`UPDATE load.item SET text = repeat(md5('${i}' || id), 8) WHERE id <= 500`);
	await fastCopy.equals(await view());
	assert.ok(fast.all.length - before >= 60);
	const lagging = /^tailwater_gateway_lagging_connections (\d+)/m.exec((await http('/metrics')).body)[1];
	assert.equal(lagging, '1');
	const queued = Number(/^tailwater_gateway_queued_bytes (\d+)/m.exec((await http('/metrics')).body)[1]);
	assert.ok(queued <= 1048576, String(queued));
	slow.socket.resume();
	await slowCopy.equals(await view(), 20000);
	assert.ok(slow.all.length < fast.all.length);
	slow.close(); fast.close();
});

test('many subscribers with filters get their own rows only', async t => {
	await schema(t, 1000);
	const clients = await Promise.all(Array.from({ length: 20 }, () => open()));
	await Promise.all(clients.map((c, i) => c.subscribe('1', { view: 'load.items', filter: [{ col: 'room', val: i % 10 }] })));
	const copies = clients.map(c => new Mirror(c, '1'));
	await Promise.all([1, 2, 3, 4].map(w => sql(Array.from({ length: 50 }, (_, i) =>
		`UPDATE load.item SET room = (room + ${w}) % 10, text = '${w}-${i}' WHERE id = ${w * 100 + i};`).join('\n'))));
	for (const [i, copy] of copies.entries())
		await copy.equals(await json(`SELECT id, room, text FROM load.items WHERE room = ${i % 10}`));
	for (const c of clients) c.close();
});

test('latency from commit to frame', async t => {
	await schema(t, 100);
	const c = await open();
	await c.subscribe('1', { view: 'load.items' });
	for (let i = 0; i < 50; i++) { await sql(`UPDATE load.item SET text = 'n${i}' WHERE id = 1`); await c.next('delta', '1'); }
	const metrics = (await http('/metrics')).body;
	const lag = Number(/^tailwater_gateway_lag_seconds (\S+)/m.exec(metrics)[1]);
	t.diagnostic(`last commit to queue: ${(lag * 1000).toFixed(2)} ms`);
	assert.ok(lag < 1);
	c.close();
});

test('resume across a restart and a crash of the server', { skip: !process.env.TAILWATER_CLUSTER }, async t => {
	await schema(t, 10);
	const cluster = command => execFileSync('tools/private_cluster', [command, process.env.TAILWATER_CLUSTER], { cwd: process.env.TAILWATER_TREE ?? new URL('../..', import.meta.url) });
	for (const command of ['restart', 'kill']) {
		let c = await open();
		const answer = await c.subscribe('1', { view: 'load.items', filter: [{ col: 'room', val: 1 }] });
		await sql(`UPDATE load.item SET text = 'before' WHERE id = 1`);
		const pos = (await c.next('delta', '1')).pos ?? answer.pos;
		cluster(command);
		if (command === 'kill') cluster('start');
		await c.whenClosed(10000);
		for (let i = 0; i < 100; i++) {
			try { await sql(`UPDATE load.item SET text = '${command}' WHERE id = 1`); break; } catch { await sleep(100); }
		}
		for (let i = 0; i < 100; i++) { try { c = await open(); break; } catch { await sleep(100); } }
		const resumed = await c.subscribe('1', { view: 'load.items', filter: [{ col: 'room', val: 1 }], resume: pos });
		assert.equal(resumed.recovered, true);
		assert.deepEqual((await c.next('delta', '1')).changes, [['~', [1], { text: command }]]);
		c.close();
	}
});
