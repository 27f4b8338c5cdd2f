-- WITH RECURSIVE as a view: rounds over what changed; sets by semi-naive evaluation and delete-and-rederive, bags by counts.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE edge (id serial PRIMARY KEY, a int, b int);
CREATE TABLE root (n int);
CREATE TABLE node (id int PRIMARY KEY, parent int, name text, weight numeric);
CREATE TABLE kind (name text, factor int);
CREATE INDEX ON edge (a);
CREATE INDEX ON edge (b);

-- sets, over cycles
CREATE MATERIALIZED VIEW reach WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (x, y) AS (SELECT a, b FROM edge UNION SELECT r.x, e.b FROM r JOIN edge e ON e.a = r.y) SELECT x, y FROM r;
CREATE MATERIALIZED VIEW reach_backwards WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (x, y) AS (SELECT a, b FROM edge UNION SELECT e.a, r.y FROM edge e, r WHERE e.b = r.x) SELECT y, x FROM r ORDER BY 1;
CREATE MATERIALIZED VIEW from_roots WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION SELECT e.b FROM r JOIN edge e ON e.a = r.n) TABLE r;
-- several arms in the base; the tables of the base in the step; a table twice in the step
CREATE MATERIALIZED VIEW both_ways WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n, far) AS (SELECT n, false FROM root UNION SELECT b, true FROM edge WHERE a = 1 UNION ALL VALUES (7, NULL::boolean)
		UNION SELECT CASE WHEN e.a = r.n THEN e.b ELSE e.a END, true FROM r, edge e WHERE r.n IN (e.a, e.b) AND r.n < 20) SELECT * FROM r;
CREATE MATERIALIZED VIEW two_steps WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION SELECT f.b FROM r JOIN edge e ON e.a = r.n JOIN edge f ON f.a = e.b) SELECT n FROM r;
CREATE MATERIALIZED VIEW inner_query WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE w AS (SELECT a, b FROM edge WHERE a <> b), r (n, depth) AS (SELECT n, 0 FROM root
		UNION SELECT s.b, s.depth + 1 FROM (SELECT w.b, r.depth FROM r JOIN w ON w.a = r.n WHERE r.depth < 4) s WHERE s.b IS NOT NULL) SELECT n, depth FROM r;
-- nothing but expressions
CREATE MATERIALIZED VIEW computed WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n + 0 FROM root UNION SELECT r.n + e.b - e.a FROM r, edge e WHERE e.a = r.n AND r.n + e.b < 30) SELECT n FROM r;
-- bags
CREATE MATERIALIZED VIEW tree WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (id, name, path, depth, total) AS (SELECT id, name, name, 0, weight FROM node WHERE parent IS NULL
		UNION ALL SELECT c.id, c.name, r.path || '/' || c.name, r.depth + 1, r.total + c.weight FROM r JOIN node c ON c.parent = r.id)
	SELECT id, name, path, depth, total FROM r;
CREATE MATERIALIZED VIEW ways WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n, depth) AS (SELECT n, 0 FROM root UNION ALL SELECT e.b, r.depth + 1 FROM r JOIN edge e ON e.a = r.n WHERE r.depth < 3) SELECT n, depth FROM r;
CREATE MATERIALIZED VIEW kinds WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (id, f) AS (SELECT id, 1 FROM node WHERE parent IS NULL UNION ALL
		SELECT c.id, r.f * k.factor FROM r JOIN node c ON c.parent = r.id JOIN kind k ON k.name = c.name) SELECT id, f FROM r;
-- a live view below, and one above
CREATE MATERIALIZED VIEW strong WITH (tailwater.maintain = immediate) AS SELECT DISTINCT a, b FROM edge WHERE a <> b;
CREATE MATERIALIZED VIEW strong_reach WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION SELECT b FROM r JOIN strong ON a = n) SELECT n FROM r;
CREATE MATERIALIZED VIEW reached WITH (tailwater.maintain = immediate) AS SELECT x, count(*) AS n FROM reach GROUP BY x;
-- what is evaluated again
CREATE MATERIALIZED VIEW unclear_image WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (id, w) AS (SELECT id, weight FROM node WHERE parent IS NULL UNION SELECT c.id, r.w + c.weight FROM r JOIN node c ON c.parent = r.id) SELECT id, w FROM r;
CREATE MATERIALIZED VIEW not_linear WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION SELECT e.b FROM r JOIN edge e ON e.a = r.n WHERE NOT EXISTS (SELECT FROM node WHERE id = e.b)) SELECT n FROM r;
CREATE MATERIALIZED VIEW cycles WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION ALL SELECT e.b FROM r JOIN edge e ON e.a = r.n) CYCLE n SET again USING path SELECT n, again FROM r;
-- below other operators, beside each other, one in the other, in an expression
CREATE MATERIALIZED VIEW far WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n, depth) AS (SELECT n, 0 FROM root UNION SELECT e.b, r.depth + 1 FROM r JOIN edge e ON e.a = r.n WHERE r.depth < 4)
	SELECT depth, count(*) AS c, max(n) AS m FROM r WHERE n > 1 GROUP BY depth;
CREATE MATERIALIZED VIEW named WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n) AS (SELECT n FROM root UNION SELECT e.b FROM r JOIN edge e ON e.a = r.n),
		p AS (SELECT n FROM r WHERE n < 5), q (n) AS (SELECT n + 1 FROM p UNION SELECT e.a FROM q JOIN edge e ON e.b = q.n JOIN r ON r.n = e.a)
	SELECT q.n, node.name, s.n AS other FROM q JOIN r AS s ON s.n < q.n LEFT JOIN node ON node.id = q.n;
-- an arm that groups, and a step that joins groups and asks for existence
CREATE MATERIALIZED VIEW from_groups WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n, depth) AS (SELECT min(b), 0 FROM edge GROUP BY a UNION SELECT DISTINCT g.top, r.depth + 1 FROM r JOIN (SELECT a, max(b) AS top FROM edge GROUP BY a) g ON g.a = r.n
		WHERE r.depth < 5 AND EXISTS (SELECT FROM edge e WHERE e.b = g.top AND e.a > 0)) SELECT n, depth FROM r WHERE n IS NOT NULL;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS
	SELECT c.id, (WITH RECURSIVE r (id, parent, name) AS (SELECT c.id, c.parent, c.name UNION ALL SELECT p.id, p.parent, p.name FROM r JOIN node p ON p.id = r.parent)
		SELECT string_agg(name, '/' ORDER BY id) FROM r) AS names FROM node c WHERE c.id < 3;
SELECT line FROM tailwater.explain('reach') line;
SELECT line FROM tailwater.explain('tree') line;
SELECT v.view, string_agg(regexp_replace(e.line, 'inner_\d+', 'inner', 'g'), E'\n' ORDER BY e.line) AS "how" FROM tailwater.views v, LATERAL (SELECT line FROM tailwater.explain(v.view) line WHERE line LIKE 'delta of%') e
GROUP BY v.view ORDER BY v.view::text;
SELECT indexdef FROM pg_indexes WHERE tablename IN ('reach', 'from_roots', 'tree') ORDER BY 1;
SELECT * FROM wrong_views();

INSERT INTO root VALUES (1);
INSERT INTO edge (a, b) VALUES (1, 2), (2, 3), (3, 4), (4, 2), (5, 6);
SELECT * FROM wrong_views();
TABLE from_roots ORDER BY 1;
INSERT INTO kind VALUES ('x', 2), ('y', 3);
INSERT INTO node VALUES (1, NULL, 'x', 1.0), (2, 1, 'y', 2.50), (3, 1, 'x', 1), (4, 2, 'x', 3.000), (5, 4, 'y', NULL);
SELECT * FROM wrong_views();
TABLE tree ORDER BY 1;
-- a second way; the first goes; a cycle must not hold itself up
INSERT INTO edge (a, b) VALUES (1, 4), (1, 2);
DELETE FROM edge WHERE a = 1 AND b = 2;
SELECT * FROM wrong_views();
DELETE FROM edge WHERE a = 1;
SELECT * FROM wrong_views();
TABLE from_roots ORDER BY 1;
INSERT INTO edge (a, b) VALUES (1, 5), (6, 3), (NULL, 1), (1, NULL), (3, 3), (6, 1), (9, 1);
SELECT * FROM wrong_views();
-- rows that come and go in one statement, through both base and step
WITH g AS (DELETE FROM root RETURNING n) INSERT INTO edge (a, b) SELECT 8, n FROM g;
INSERT INTO root VALUES (8), (NULL), (8);
UPDATE edge SET a = b, b = a;
SELECT * FROM wrong_views();
UPDATE edge SET b = b + 1 WHERE id % 2 = 0;
SELECT * FROM wrong_views();
-- neither before nor after is there a cycle below what is moved
UPDATE node SET parent = CASE id WHEN 2 THEN 3 WHEN 3 THEN 1 END WHERE id IN (2, 3);
SELECT * FROM wrong_views();
UPDATE node SET parent = CASE id WHEN 2 THEN 1 WHEN 3 THEN 5 END WHERE id IN (2, 3);
SELECT * FROM wrong_views();
UPDATE node SET parent = 4 WHERE id IN (4, 5);
SELECT * FROM wrong_views();
UPDATE node SET parent = NULL WHERE id = 4;
UPDATE node SET name = name || '!' WHERE id = 1;
UPDATE kind SET factor = factor + 1;
SELECT * FROM wrong_views();
BEGIN;
DELETE FROM edge WHERE id < 5;
SAVEPOINT s;
TRUNCATE edge;
INSERT INTO edge (a, b) VALUES (8, 1);
SELECT * FROM wrong_views();
ROLLBACK TO s;
INSERT INTO edge (a, b) SELECT i % 11, i % 13 FROM generate_series(1, 30) i;
COMMIT;
SELECT * FROM wrong_views();
DELETE FROM edge WHERE a = b OR b = 1;
UPDATE edge SET b = b % 5 + 1 WHERE a > 5;
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW reach;
-- an expression fails for rows that only the tables between two steps would have
CREATE MATERIALIZED VIEW fails WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE r (n, q) AS (SELECT n, 1 FROM root WHERE n < 3 UNION ALL SELECT e.b, 12 / (e.b - 20) FROM r JOIN edge e ON e.a = r.n WHERE r.n < e.b AND r.n < 3) SELECT n, q FROM r;
DELETE FROM edge;
DELETE FROM root;
INSERT INTO root VALUES (1);
INSERT INTO edge (a, b) VALUES (1, 2), (2, 4);
WITH g AS (DELETE FROM root RETURNING n) INSERT INTO edge (a, b) SELECT n, 20 FROM g;
SELECT * FROM wrong_views();
DELETE FROM node;
DELETE FROM edge;
SELECT * FROM wrong_views();
DROP TABLE edge, root, node, kind CASCADE;
