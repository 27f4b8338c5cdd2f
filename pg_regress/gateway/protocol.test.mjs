// protocol.test.mjs - values, views without a key, endpoints, rights, limits, bad clients.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Client, Mirror, canonical, http, json, role, sleep, sql } from './wire.mjs';

const open = async (...args) => { const c = await Client.open(...args); await c.next('welcome'); return c; };

async function schema(t, text) {
	await sql(`DROP SCHEMA IF EXISTS gw CASCADE; CREATE SCHEMA gw; GRANT USAGE ON SCHEMA gw TO ${role}; SET search_path = gw; ${text}`);
	t.after(() => sql('DROP SCHEMA IF EXISTS gw CASCADE'));
}

const items = (grant = true) => `
	CREATE TABLE item (id int PRIMARY KEY, kind text, price numeric, n bigint);
	INSERT INTO item SELECT i, CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END, i * 1.50, i FROM generate_series(1, 6) i;
	CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS SELECT id, kind, price, n FROM item;
	${grant ? `GRANT SELECT ON items TO ${role};` : ''}`;

test('welcome and ping', async () => {
	const c = await Client.open();
	const welcome = await c.next('welcome');
	assert.equal(c.protocol, 'tailwater.v1');
	assert.match(welcome.server, /^tailwater\//);
	assert.deepEqual(welcome.limits, { frame: 65536, subscriptions: 128, queue: 1048576 });
	assert.equal(welcome.ping_interval, 25);
	c.send({ type: 'ping' });
	await c.next('pong');
	c.close();
	const plain = await open('/v1/stream', { protocol: null });
	plain.close();
	await assert.rejects(Client.open('/v1/stream', { protocol: 'other.v1' }));
});

test('values', async t => {
	await schema(t, `
		CREATE TYPE pair AS (a int, b bigint);
		CREATE TYPE mood AS ENUM ('sad', 'glad');
		CREATE DOMAIN positive AS bigint CHECK (value > 0);
		CREATE TABLE v (id int PRIMARY KEY, b bool, s int2, big int8, num numeric, f4 float4, f8 float8, t text, c char(3), j json, jb jsonb,
			by bytea, ts timestamp, tz timestamptz, d date, tm time, iv interval, u uuid, ia int[], ba bigint[], ma int[][], ta text[],
			p pair, m mood, dom positive, r int4range, nul text);
		CREATE MATERIALIZED VIEW vals WITH (tailwater.maintain = immediate) AS SELECT * FROM v;
		GRANT SELECT ON vals TO ${role};`);
	const c = await open();
	assert.deepEqual((await c.subscribe('1', { view: 'gw.vals' })).rows, []);
	await sql(`INSERT INTO gw.v VALUES (1, true, -5, 9007199254740993, 1.00, 0.1, 1e300, E'q"\\\\\\n\\u00e9\\U0001F600\\x01', 'a', '{"x": [1,  2]}', '{"y": 1.50}',
		'\\x00ff', '2024-01-01 10:00', '2024-01-01 12:00+02', '2024-02-29', '01:02:03', '1 day 02:00', '00000000-0000-0000-0000-000000000001',
		'{1,null,3}', '{1}', '{{1,2},{3,4}}', '{a,"b,c"}', '(1,2)', 'glad', 7, '[1,5)', NULL)`);
	const row = (await c.next('delta', '1')).changes[0][1];
	assert.deepEqual(row, { id: 1, b: true, s: -5, big: '9007199254740993', num: '1.00', f4: 0.1, f8: 1e300, t: 'q"\\\n\u00e9\u{1F600}\x01', c: 'a  ',
		j: { x: [1, 2] }, jb: { y: 1.5 }, by: '\\x00ff', ts: '2024-01-01T10:00:00', tz: '2024-01-01T10:00:00+00:00', d: '2024-02-29', tm: '01:02:03',
		iv: '1 day 02:00:00', u: '00000000-0000-0000-0000-000000000001', ia: [1, null, 3], ba: ['1'], ma: [[1, 2], [3, 4]], ta: ['a', 'b,c'],
		p: { a: 1, b: '2' }, m: 'glad', dom: '7', r: '[1,5)', nul: null });
	await sql(`UPDATE gw.v SET f8 = 'NaN', f4 = '-Infinity', num = 'NaN', tz = 'infinity', ia = '{}'`);
	assert.deepEqual((await c.next('delta', '1')).changes, [['~', [1], { f8: 'NaN', f4: '-Infinity', num: 'NaN', tz: 'infinity', ia: [] }]]);
	for (const [col, val] of [['big', '9007199254740993'], ['big', 5], ['b', true], ['tz', 'infinity'], ['u', '00000000-0000-0000-0000-000000000001'], ['nul', null], ['t', null], ['jb', { y: 1.5 }], ['d', '29 Feb 2024'], ['c', 'a']])
		assert.equal((await c.subscribe('f' + col + val, { view: 'gw.vals', filter: [{ col, val }] })).rows.length,
			(col === 'big' && val === 5) || (col === 't') || col === 'jb' ? 0 : 1, col);
	assert.equal((await c.subscribe('jb', { view: 'gw.vals', filter: [{ col: 'jb', val: { y: '1.50' } }] })).rows.length, 0);
	c.close();
});

test('views without a key are bags', async t => {
	await schema(t, `CREATE TABLE b (a int, x text); INSERT INTO b VALUES (1, 'p'), (1, 'p'), (2, 'q');
		CREATE MATERIALIZED VIEW bag WITH (tailwater.maintain = immediate) AS SELECT a, x FROM b; GRANT SELECT ON bag TO ${role};`);
	const c = await open();
	const all = await c.subscribe('1', { view: 'gw.bag' });
	assert.equal(all.key, null);
	assert.deepEqual(canonical(all.rows), canonical([{ a: 1, x: 'p' }, { a: 1, x: 'p' }, { a: 2, x: 'q' }]));
	await c.subscribe('2', { view: 'gw.bag', columns: ['x'] });
	await sql(`INSERT INTO gw.b VALUES (1, 'p'), (1, 'p'), (3, 'q')`);
	assert.deepEqual((await c.next('delta', '1')).changes.sort(), [[1, { a: 3, x: 'q' }], [2, { a: 1, x: 'p' }]]);
	assert.deepEqual((await c.next('delta', '2')).changes.sort(), [[1, { x: 'q' }], [2, { x: 'p' }]]);
	await sql(`UPDATE gw.b SET a = 9 WHERE a = 3`);
	assert.deepEqual((await c.next('delta', '1')).changes.sort(), [[-1, { a: 3, x: 'q' }], [1, { a: 9, x: 'q' }]]);
	await c.silence('2');
	c.close();
});

test('columns: the key comes too, unseen changes are silent', async t => {
	await schema(t, items());
	const c = await open();
	const answer = await c.subscribe('1', { view: 'gw.items', columns: ['kind'], filter: [{ col: 'kind', val: 'odd' }] });
	assert.deepEqual(answer.schema, [{ name: 'id', type: 'integer' }, { name: 'kind', type: 'text' }]);
	assert.deepEqual(canonical(answer.rows), canonical([1, 3, 5].map(id => ({ id, kind: 'odd' }))));
	await sql('UPDATE gw.item SET n = n + 1');
	await c.silence('1');
	await sql(`BEGIN; UPDATE gw.item SET kind = 'odd' WHERE id = 2; DELETE FROM gw.item WHERE id = 1; UPDATE gw.item SET id = 33 WHERE id = 3; COMMIT`);
	assert.deepEqual((await c.next('delta', '1')).changes.map(x => JSON.stringify(x)).sort(),
		['["+",{"id":2,"kind":"odd"}]', '["+",{"id":33,"kind":"odd"}]', '["-",[1]]', '["-",[3]]']);
	c.close();
});

test('one version is one unit across the subscriptions of a socket', async t => {
	await schema(t, `CREATE TABLE account (id int PRIMARY KEY, branch int, balance bigint);
		INSERT INTO account SELECT i, i % 3, 100 FROM generate_series(1, 30) i;
		CREATE MATERIALIZED VIEW by_branch WITH (tailwater.maintain = immediate) AS SELECT branch, sum(balance) AS s FROM account GROUP BY branch;
		CREATE MATERIALIZED VIEW total WITH (tailwater.maintain = immediate) AS SELECT sum(balance) AS s FROM account;
		GRANT SELECT ON by_branch, total TO ${role};`);
	const c = await open();
	await c.subscribe('b', { view: 'gw.by_branch' });
	await c.subscribe('t', { view: 'gw.total' });
	await sql(`BEGIN; UPDATE gw.account SET balance = balance + 10 WHERE id = 1; COMMIT`);
	const first = await c.until(() => c.frames.find(f => f.type === 'delta'));
	await c.until(() => c.frames.some(f => f.type === 'delta' && !f.more));
	const unit = c.frames.filter(f => f.type === 'delta');
	assert.equal(first.more, true);
	assert.equal(unit.length, 2);
	assert.deepEqual(unit.map(f => f.more), [true, undefined]);
	assert.deepEqual(unit.map(f => f.id).sort(), ['b', 't']);
	c.frames.length = 0;

	// writers that move money: the sum of the branches is the total in every unit
	await sql('UPDATE gw.account SET balance = balance - 10 WHERE id = 1');
	await c.until(() => c.frames.filter(f => f.type === 'delta' && !f.more).length >= 1);
	const branches = new Mirror(c, 'b'), totals = new Mirror(c, 't');
	const moves = [1, 2, 3].map(w => sql(Array.from({ length: 40 }, () =>
		`UPDATE gw.account SET balance = balance + CASE id WHEN ${w * 2} THEN 1 ELSE -1 END WHERE id IN (${w * 2}, ${w * 7 % 30 + 1});`).join("\n")));
	await Promise.all(moves);
	await branches.equals((await json('SELECT branch, s::text FROM gw.by_branch')));
	await totals.catchUp();
	const sum = branches.value.reduce((n, r) => n + BigInt(r.s), 0n);
	assert.equal(sum, BigInt(totals.value[0].s));
	c.close();
});

test('endpoints', async t => {
	await schema(t, items() + `
		SELECT tailwater.publish('/gw/kind', 'items', '{"kind": {"param": "kind"}}');
		SELECT tailwater.publish('/gw/odd', 'items', '[{"col": "kind", "op": "eq", "val": "odd"}]', '{id,kind}');`);
	t.after(() => sql(`SELECT tailwater.unpublish('/gw/kind'), tailwater.unpublish('/gw/odd')`));
	const c = await open('/gw/kind?kind=even');
	assert.deepEqual((await c.snapshot('0')).map(r => r.id).sort(), [2, 4, 6]);
	await sql(`UPDATE gw.item SET n = 100 WHERE id IN (1, 2)`);
	const delta = await c.next('delta', '0');
	assert.deepEqual(delta.changes, [['~', [2], { n: '100' }]]);
	c.close();
	const again = await open('/gw/kind?resume=' + delta.pos + '&kind=even');
	assert.equal((await again.next('subscribed', '0')).recovered, true);
	again.close();

	const s = await open();
	assert.deepEqual(Object.keys((await s.subscribe('1', { endpoint: 'gw/odd' })).rows[0]), ['id', 'kind']);
	assert.equal((await s.subscribe('2', { endpoint: '/gw/kind' })).code, 'bad_params');
	assert.equal((await s.subscribe('3', { endpoint: '/gw/kind', params: { kind: 'odd', x: 1 } })).code, 'bad_params');
	assert.equal((await s.subscribe('4', { endpoint: '/gw/odd', columns: ['price'] })).code, 'bad_columns');
	assert.equal((await s.subscribe('5', { endpoint: '/gw/odd', filter: [{ col: 'price', val: 1 }] })).code, 'bad_filter');
	assert.equal((await s.subscribe('6', { endpoint: '/gw/odd', filter: [{ col: 'id', val: 3 }] })).rows.length, 1);
	assert.equal((await s.subscribe('7', { endpoint: '/gw/none' })).code, 'not_found');
	s.close();
	const missing = await open('/gw/none');
	assert.equal((await missing.next('error', '0')).code, 'not_found');
	assert.equal(await missing.whenClosed(), 4404);

	const get = await http('/v1/view/gw/kind?kind=odd');
	assert.equal(get.status, 200);
	assert.deepEqual(JSON.parse(get.body).map(r => r.id).sort(), [1, 3, 5]);
	assert.equal((await http('/v1/view/gw/kind')).status, 400);
	const dashboard = JSON.parse((await http('/v1/views')).body);
	assert.ok(dashboard.endpoints.some(e => e.path === '/gw/odd'));
	assert.ok(dashboard.views.some(v => v.view === 'gw.items'));
	await assert.rejects(sql(`SELECT tailwater.publish('/v1/x', 'gw.items')`), /invalid endpoint path/);
	await assert.rejects(sql(`SELECT tailwater.publish('/gw/x', 'gw.items', '{"nix": 1}')`), /does not exist/);
	await assert.rejects(sql(`SET ROLE ${role}; SELECT tailwater.publish('/gw/x', 'gw.items')`), /must be owner/);
	await assert.rejects(sql(`SET ROLE ${role}; SELECT tailwater.unpublish('/gw/odd')`), /must be owner/);
});

test('rights', async t => {
	await schema(t, items(false));
	const c = await open();
	assert.equal((await c.subscribe('1', { view: 'gw.items' })).code, 'forbidden');
	assert.equal((await http('/v1/view/gw.items')).status, 403);
	await sql(`GRANT SELECT (id, kind) ON gw.items TO ${role}`);
	assert.equal((await c.subscribe('2', { view: 'gw.items' })).code, 'forbidden');
	assert.equal((await c.subscribe('3', { view: 'gw.items', columns: ['kind'], filter: [{ col: 'price', val: 1 }] })).code, 'forbidden');
	assert.equal((await c.subscribe('4', { view: 'gw.items', columns: ['kind'] })).rows.length, 6);
	await sql(`GRANT SELECT ON gw.items TO ${role}`);
	assert.equal((await c.subscribe('5', { view: 'gw.items' })).rows.length, 6);
	// revoked and changed in one transaction: not one row more
	await sql(`BEGIN; REVOKE ALL ON gw.items FROM ${role}; UPDATE gw.item SET n = 4711; COMMIT`);
	assert.equal((await c.next('complete', '5')).reason, 'forbidden');
	assert.equal((await c.next('error', '5')).code, 'forbidden');
	await c.next('complete', '4');
	assert.equal(JSON.stringify(c.all).includes('4711'), false);
	await sql(`GRANT SELECT ON gw.items TO ${role}`);
	await c.subscribe('6', { view: 'gw.items' });
	await sql(`REVOKE ALL ON gw.items FROM ${role}`); // no version comes: noticed all the same
	assert.equal((await c.next('complete', '6')).reason, 'forbidden');
	await sql(`REVOKE ALL ON SCHEMA gw FROM ${role}`);
	assert.equal((await c.subscribe('7', { view: 'gw.items' })).code, 'not_found');
	c.close();
});

test('views that end or change', async t => {
	await schema(t, items() + `CREATE MATERIALIZED VIEW plain AS SELECT 1 AS a; GRANT SELECT ON plain TO ${role};`);
	const c = await open();
	assert.equal((await c.subscribe('1', { view: 'gw.plain' })).code, 'not_live');
	await c.subscribe('2', { view: 'gw.items' });
	await sql(`ALTER MATERIALIZED VIEW gw.items RENAME COLUMN n TO m`);
	assert.equal((await c.next('reset', '2')).reason, 'definition');
	assert.deepEqual((await c.next('subscribed', '2')).schema.map(s => s.name), ['id', 'kind', 'price', 'm']);
	assert.equal((await c.snapshot('2')).length, 6);
	await sql(`ALTER MATERIALIZED VIEW gw.items RENAME TO things`);
	await sql(`UPDATE gw.item SET n = 0 WHERE id = 1`);
	assert.deepEqual((await c.next('delta', '2')).changes, [['~', [1], { m: '0' }]]);
	await sql(`SELECT tailwater.release('gw.things')`);
	assert.equal((await c.next('complete', '2')).reason, 'released');
	await sql(`SELECT tailwater.maintain('gw.things', 'immediate')`);
	assert.equal((await c.subscribe('2', { view: 'gw.things' })).rows.length, 6);
	await sql(`DROP MATERIALIZED VIEW gw.things`);
	assert.equal((await c.next('complete', '2')).reason, 'dropped');
	assert.equal((await c.subscribe('2', { view: 'gw.things' })).code, 'not_found');
	c.close();
});

test('unsubscribe, duplicate ids, limits', async t => {
	await schema(t, items());
	const c = await open();
	await c.subscribe('1', { view: 'gw.items' });
	assert.equal((await c.subscribe('1', { view: 'gw.items' })).code, 'duplicate_id');
	c.send({ type: 'ack', id: '1', pos: 'x' });
	c.send({ type: 'unsubscribe', id: '1' });
	assert.equal((await c.next('complete', '1')).reason, 'unsubscribed');
	await sql('UPDATE gw.item SET n = 7');
	await c.silence('1');
	c.send({ type: 'unsubscribe', id: '1' });
	assert.equal((await c.next('error', '1')).code, 'unknown_subscription');
	for (let i = 0; i < 129; i++) c.send({ type: 'subscribe', id: 's' + i, view: 'gw.items', filter: [{ col: 'id', val: i }] });
	assert.equal((await c.next('error', 's128')).code, 'too_many_subscriptions');
	await c.next('subscribed', 's127');
	c.close();
});

test('bad clients', async t => {
	await schema(t, items());
	const code = async (...messages) => { const c = await open(); for (const m of messages) c.send(m); const n = await c.whenClosed(); return n; };
	assert.equal(await code('{'), 4400);
	assert.equal(await code('[]'), 4400);
	assert.equal(await code('{"a":1}'), 4400);
	assert.equal(await code('"' + 'x'.repeat(70000) + '"'), 4400);
	const binary = await open();
	binary.raw(2, '{"type":"ping"}');
	assert.equal(await binary.whenClosed(), 4400);
	const parts = await open();
	parts.raw(1, '{"type":', false); parts.raw(0, '"ping"}');
	await parts.next('pong');
	for (const [message, wanted] of [[{ type: 'nix' }, 'unknown_type'], [{ type: 'auth', token: 'x' }, 'unsupported'], [{ type: 'subscribe', view: 'x' }, 'bad_request'],
		[{ type: 'subscribe', id: 'a' }, 'bad_request'], [{ type: 'subscribe', id: 'a', view: 'x', endpoint: 'y' }, 'bad_request'],
		[{ type: 'subscribe', id: 'a', view: 'gw.items', format: 'patch' }, 'unsupported'], [{ type: 'subscribe', id: 'a', view: 'gw.items', columns: ['nix'] }, 'bad_columns'],
		[{ type: 'subscribe', id: 'a', view: 'gw.items', filter: [{ col: 'nix', val: 1 }] }, 'bad_filter'], [{ type: 'subscribe', id: 'a', view: 'gw.items', filter: [{ col: 'id', op: 'lt', val: 1 }] }, 'bad_filter'],
		[{ type: 'subscribe', id: 'a', view: 'gw.items', filter: [{ col: 'id', val: 'one' }] }, 'bad_filter'],
		[{ type: 'subscribe', id: 'a', view: 'a.b.c.d' }, 'not_found'], [{ type: 'subscribe', id: 'a', view: '"' }, 'not_found'], [{ type: 'subscribe', id: 'a', view: "x'; DROP TABLE gw.item; --" }, 'not_found'],
		[{ type: 'subscribe', id: 'a', view: 'gw.item' }, 'forbidden']]) {
		parts.send(message);
		const error = await parts.next('error');
		assert.equal(error.code, wanted, JSON.stringify(message));
	}
	// the connection and its neighbours live on
	assert.equal((await parts.subscribe('ok', { view: 'gw.items' })).rows.length, 6);
	parts.close();
	const foreign = await Client.open('/v1/stream', { headers: { Origin: 'https://evil.example' } });
	assert.equal(await foreign.whenClosed(), 4403);
	const own = await open('/v1/stream', { headers: { Origin: 'http://localhost:3000' } });
	own.close();
});

test('HTTP', async t => {
	await schema(t, items());
	assert.equal((await http('/healthz')).body, 'ok\n');
	assert.equal((await http('/readyz')).status, 200);
	const metrics = await http('/metrics');
	assert.match(metrics.headers['content-type'], /^text\/plain/);
	for (const name of ['connections', 'subscriptions', 'frames_sent_total', 'bytes_sent_total', 'versions_total', 'lag_seconds'])
		assert.match(metrics.body, new RegExp(`^tailwater_gateway_${name} [0-9.e+-]+$`, 'm'));
	const view = await http('/v1/view/gw.items?kind=even');
	assert.match(view.headers['content-type'], /application\/json/);
	assert.deepEqual(canonical(JSON.parse(view.body)), canonical((await json(`SELECT id, kind, price::text, n::text FROM gw.items WHERE kind = 'even'`))));
	assert.equal(view.headers['tailwater-key'], '["id"]');
	const c = await open();
	assert.equal((await c.subscribe('1', { view: 'gw.items', filter: [{ col: 'kind', val: 'even' }], resume: view.headers['tailwater-pos'] })).recovered, true);
	c.close();
	assert.equal((await http('/v1/view/gw.nix')).status, 404);
	assert.equal((await http('/v1/view/gw.items?nix=1')).status, 400);
	assert.equal((await http('/v1/view/gw.items', 'HEAD')).body, '');
	assert.equal((await http('/metrics', 'DELETE')).status, 405);
	assert.match((await http('/dashboard')).body, /<title>tailwater/);
	for (const path of ['/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '//etc/passwd', '/.git/config', '/nix'])
		assert.ok([400, 403, 404].includes((await http(path)).status) , path);
	await sleep(0);
});
