/**
 * The followed users, step by step: one subscriber and one TAIL cursor on Omar's document. What each step does to
 * the document is said here once, as a change of a JavaScript object; psql, TAIL and the socket must all have it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { canonicalJson } from '../../client/src/node.js';
import { gatewayPort, Psql, silence, subscriber, until } from '../../client/test/server.js';
import { changesOf, compare, loaded, net, Tail } from '../steps.mjs';

const kSkip = gatewayPort ? false : 'needs a server: run it with make check-one T=steps';

const kOmar = '(SELECT * FROM followeds_doc WHERE id = 1)';
const kSelect = 'SELECT * FROM followeds_doc WHERE id = 1';

let writer;
let tail;
let omar;
/** The document as it should be. */
let doc;

before(async () => {
	if (kSkip) return;
	writer = await loaded(new URL('followeds.sql', import.meta.url));
	await writer.run('GRANT SELECT ON followeds_doc TO tester');
});

after(() => {
	for (const session of [writer, tail, omar]) session?.close();
});

const same = (text, expected) => assert.equal(canonicalJson(JSON.parse(text)), canonicalJson(expected));

/** After a step `change` of the document: psql has it, TAIL gives the old and the new row, the socket one `~`. */
async function expectChange(change) {
	const old = structuredClone(doc);
	change(doc);
	same((await writer.run('SELECT doc FROM followeds_doc WHERE id = 1'))[0][0], doc);
	const [[[sign, key, columns]]] = await changesOf(omar);
	assert.deepEqual([sign, key], ['~', [1]]);
	assert.equal(canonicalJson(columns), canonicalJson({ doc }));
	const versions = await tail.next();
	assert.equal(versions.length, 1);
	assert.deepEqual(versions[0].map(([diff, id]) => [diff, id]), [[-1, '1'], [1, '1']]);
	same(versions[0][0][2], old);
	same(versions[0][1][2], doc);
	await compare(writer, omar, 'followeds_doc', kSelect);
}

async function expectNothing() {
	await silence(omar);
	assert.deepEqual(await tail.next(), []);
	await compare(writer, omar, 'followeds_doc', kSelect);
}

const place = (id, name) => ({ id, name });

test('0: the whole document', { skip: kSkip }, async () => {
	omar = await subscriber('followeds_doc', { filter: { id: 1 } });
	assert.deepEqual(omar.live.key, ['id']);
	doc = {
		id: 1,
		name: 'Omar',
		followeds: [
			{ id: 0, name: 'Fred', places: [place(1, 'La Cuisinerie'), place(5, 'Duropam')] },
			{ id: 1, name: 'Omar', places: [place(2, 'Cosinar Juntos'), place(3, 'Pachamama'), place(5, 'Duropam')] },
			{ id: 2, name: 'Jean', places: [place(4, 'Philoo')] },
		],
	};
	tail = new Tail();
	const [[diff, id, text], ...more] = await tail.open(kOmar);
	assert.deepEqual([diff, id, more], [1, '1', []]);
	same(text, doc);
	assert.equal(omar.canonical(), canonicalJson([{ id: 1, doc }]));
	await compare(writer, omar, 'followeds_doc', kSelect);
	omar.take();
});

test('1: Fred is no longer followed, by anybody', { skip: kSkip }, async () => {
	await writer.run('DELETE FROM users_followeds WHERE followed_id = 0');
	await expectChange((d) => d.followeds.splice(0, 1));
});

test('2: a place gets another name', { skip: kSkip }, async () => {
	await writer.run("UPDATE places SET name = 'Duropam II' WHERE id = 5");
	await expectChange((d) => (d.followeds[0].places[2].name = 'Duropam II'));
});

test('3: Roland is followed', { skip: kSkip }, async () => {
	await writer.run('INSERT INTO users_followeds VALUES (1, 4)');
	await expectChange((d) => d.followeds.push({ id: 4, name: 'Roland', places: [place(5, 'Duropam II')] }));
});

test('4: the place gets another name, and is there twice', { skip: kSkip }, async () => {
	await writer.run("UPDATE places SET name = 'Duropam III' WHERE id = 5");
	await expectChange((d) => {
		d.followeds[0].places[2].name = 'Duropam III';
		d.followeds[2].places[0].name = 'Duropam III';
	});
});

test('5: Jean has one place more', { skip: kSkip }, async () => {
	await writer.run('INSERT INTO users_places VALUES (2, 0)');
	await expectChange((d) => d.followeds[1].places.unshift(place(0, 'Looloo Kitchen')));
});

test('6: Omar, who follows himself, gets another name', { skip: kSkip }, async () => {
	await writer.run("UPDATE users SET name = 'Omar B.' WHERE id = 1");
	await expectChange((d) => {
		d.name = 'Omar B.';
		d.followeds[0].name = 'Omar B.';
	});
});

test('7, 8: what is not in the document is not heard', { skip: kSkip }, async () => {
	await writer.run("UPDATE users SET name = 'Fred F.' WHERE id = 0");
	await expectNothing();
	await writer.run("UPDATE places SET name = 'La Cuisine' WHERE id = 1");
	await expectNothing();
});

test('9: offline, over a restart of the server: the net of it', { skip: kSkip }, async () => {
	const position = tail.version;
	const old = structuredClone(doc);
	omar.line.cut();
	await until('the socket to be gone', () => omar.live.state === 'stale');
	for (const step of [
		"UPDATE places SET name = 'Duropam IV' WHERE id = 5",
		"UPDATE places SET name = 'Duropam III' WHERE id = 5",
		'INSERT INTO users_followeds VALUES (1, 0)',
		"UPDATE places SET name = 'Philoo II' WHERE id = 4",
		'DELETE FROM users_followeds WHERE user_id = 1 AND followed_id = 4',
	])
		await writer.run(step);
	tail.close();
	writer.close();
	const restart = fileURLToPath(new URL('../../tools/private_cluster', import.meta.url));
	const { status, stderr } = spawnSync(restart, ['restart', process.env.TAILWATER_CLUSTER], { encoding: 'utf8' });
	assert.equal(status, 0, stderr);
	writer = new Psql();
	omar.line.mend();

	doc.followeds.unshift({ id: 0, name: 'Fred F.', places: [place(1, 'La Cuisine'), place(5, 'Duropam III')] });
	doc.followeds[2].places[1].name = 'Philoo II';
	doc.followeds.splice(3, 1);
	await until('the subscriber to be back', () => omar.live.state === 'live' && omar.canonical() === canonicalJson([{ id: 1, doc }]), 20_000);
	const [answer, ...deltas] = omar.take();
	assert.deepEqual([answer.type, answer.mode, answer.recovered], ['subscribed', 'resume', true]);
	assert.equal(deltas.length, 1);
	assert.equal(canonicalJson(deltas[0].changes), canonicalJson([['~', [1], { doc }]]));
	await compare(writer, omar, 'followeds_doc', kSelect);
	await silence(omar);

	tail = new Tail();
	const rows = net([await tail.open(kOmar, `WITH (SNAPSHOT = false) AS OF ${position}`)]);
	assert.deepEqual(rows.map(([diff, id]) => [diff, id]), [[-1, '1'], [1, '1']]);
	same(rows[0][2], old);
	same(rows[1][2], doc);
});

test('10: everything at once: the net only', { skip: kSkip }, async () => {
	await writer.run(`BEGIN; DELETE FROM users_followeds WHERE user_id = 1;
		INSERT INTO users_followeds SELECT 1, id FROM users; COMMIT`);
	await expectChange((d) => d.followeds.push({ id: 4, name: 'Roland', places: [place(5, 'Duropam III')] }));
	await silence(omar);
});
