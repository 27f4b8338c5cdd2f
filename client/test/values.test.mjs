/** vectors/values.json against a real server: in a snapshot, and in a change. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { gatewayPort, Psql, subscriber, until } from './server.js';

const kSkip = gatewayPort ? false : 'needs a server: run it with make check-one T=values';
const { values } = JSON.parse(readFileSync(new URL('vectors/values.json', import.meta.url), 'utf8'));

const literal = (text) => (text === null ? 'NULL' : `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);

let psql;
let live;
after(() => {
	psql?.close();
	live?.close();
});

test('every kind of value', { skip: kSkip }, async () => {
	psql = new Psql();
	const row = (key) => `INSERT INTO sample VALUES (${[key, ...values.map(({ text }) => literal(text))].join(', ')});`;
	await psql.run(`
		CREATE TABLE sample (k int PRIMARY KEY, ${values.map(({ type }, i) => `c${i} ${type}`).join(', ')});
		${row(1)}
		CREATE MATERIALIZED VIEW samples WITH (tailwater.maintain = immediate) AS SELECT * FROM sample;
		GRANT SELECT ON samples TO tester;`);
	live = await subscriber('samples');
	await psql.run(row(2));
	await until('the second row', () => live.live.size === 2);
	for (const key of [1, 2])
		values.forEach(({ type, text, json }, i) =>
			assert.deepEqual(live.live.get(key)[`c${i}`], json, `${type} ${JSON.stringify(text)}, row ${key}`),
		);
});
