/* ---- monitor: what is kept up to date, how, and whether it is right ---- */

CREATE FUNCTION tailwater.explain(view regclass) RETURNS SETOF text
	LANGUAGE c STRICT
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'tailwater_explain';
COMMENT ON FUNCTION tailwater.explain(regclass) IS
	'the circuit that keeps a live view up to date, as text; needs SELECT on the view';

CREATE FUNCTION tailwater.verify(view regclass) RETURNS bigint
	LANGUAGE c STRICT
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'tailwater_verify';
COMMENT ON FUNCTION tailwater.verify(regclass) IS
	'recomputes the query of a live view in one snapshot and returns how many rows differ, which is always 0; needs SELECT on the view';

CREATE VIEW tailwater.progress AS
SELECT b.view, b.phase, b.rows_computed, b.changes_applied, b.changes_to_apply, b.blocked_by, b.builder, b.pid, b.started_at
FROM tailwater_internal.builds() b;
GRANT SELECT ON tailwater.progress TO PUBLIC;
COMMENT ON VIEW tailwater.progress IS 'one row per materialized view whose first content is being computed while its base tables are written';
COMMENT ON COLUMN tailwater.progress.phase IS 'starting, waiting to record changes, computing, catching up, waiting to switch, cleaning up';
COMMENT ON COLUMN tailwater.progress.rows_computed IS 'rows of the content, or of what is grouped for it, that were computed so far';
COMMENT ON COLUMN tailwater.progress.changes_applied IS 'rows changed by writers meanwhile that are in the view';
COMMENT ON COLUMN tailwater.progress.changes_to_apply IS 'such rows in the round that is under way';
COMMENT ON COLUMN tailwater.progress.blocked_by IS 'process that is waited for because it holds a lock on a base table';
COMMENT ON COLUMN tailwater.progress.builder IS 'process that computes';
COMMENT ON COLUMN tailwater.progress.pid IS 'process that asked for it and waits';

CREATE VIEW tailwater.views AS
SELECT v.view,
	pg_catalog.pg_get_userbyid(c.relowner) AS owner,
	v.mode,
	v.feed,
	a.strategy,
	a.view IS NOT NULL AS attached,
	a.epoch,
	CASE WHEN a.log <> 0 THEN n.version END AS version,
	CASE WHEN a.log <> 0 THEN n.committed_at END AS version_at,
	a.attached_at,
	CASE WHEN a.log <> 0 THEN pg_catalog.pg_total_relation_size(a.log::oid) END AS log_size,
	(SELECT coalesce(sum(pg_catalog.pg_total_relation_size(s.relation::oid)), 0)::bigint
		FROM (SELECT s.view, s.relation FROM tailwater_internal.state s
			UNION ALL SELECT i.view, i.relation FROM tailwater_internal.inner_relation i
			UNION ALL SELECT i.view, s.relation FROM tailwater_internal.inner_relation i
				JOIN tailwater_internal.state s ON s.view = i.relation) s
		WHERE s.view = a.view) AS state_size,
	pg_catalog.pg_stat_get_tuples_inserted(v.view) + pg_catalog.pg_stat_get_tuples_updated(v.view)
		+ pg_catalog.pg_stat_get_tuples_deleted(v.view) AS rows_applied,
	CASE WHEN pg_catalog.has_table_privilege(v.view, 'SELECT') THEN e.message END AS last_error,
	CASE WHEN a.mode = 'd' THEN l.bytes END AS lag_bytes,
	CASE WHEN a.mode = 'd' THEN l.transactions END AS lag_transactions,
	CASE WHEN a.mode = 'd' THEN l.seconds END AS lag_seconds
FROM tailwater_internal.view v
	JOIN pg_catalog.pg_class c ON c.oid = v.view
	LEFT JOIN tailwater_internal.attachment a ON a.view = v.view
	LEFT JOIN tailwater_internal.last_error e ON e.view = v.view
	LEFT JOIN LATERAL (SELECT r.version, r.committed_at FROM tailwater_internal.version r
		ORDER BY r.version DESC LIMIT 1) n ON true
	LEFT JOIN tailwater_internal.deferred_lag() l ON true;
GRANT SELECT ON tailwater.views TO PUBLIC;
COMMENT ON VIEW tailwater.views IS 'one row per materialized view that tailwater was asked to keep up to date';
COMMENT ON COLUMN tailwater.views.view IS 'the materialized view';
COMMENT ON COLUMN tailwater.views.owner IS 'its owner, as whom it is kept up to date';
COMMENT ON COLUMN tailwater.views.mode IS 'immediate: inside the writing transaction; deferred: by a worker, from the write-ahead log';
COMMENT ON COLUMN tailwater.views.feed IS 'whether its changes are logged for TAIL and for WebSocket clients';
COMMENT ON COLUMN tailwater.views.strategy IS 'how a change is brought to it, by its costliest operator: incremental, keyed or recompute; tailwater.explain() shows each';
COMMENT ON COLUMN tailwater.views.attached IS 'false from CREATE ... WITH NO DATA, REFRESH ... WITH NO DATA or a restored dump until the next REFRESH MATERIALIZED VIEW';
COMMENT ON COLUMN tailwater.views.epoch IS 'changes when positions in its feed lose their meaning';
COMMENT ON COLUMN tailwater.views.version IS 'newest version of the feed, null where the feed is off';
COMMENT ON COLUMN tailwater.views.version_at IS 'when that version was made';
COMMENT ON COLUMN tailwater.views.attached_at IS 'since when it has been kept up to date';
COMMENT ON COLUMN tailwater.views.log_size IS 'bytes of its change log with index, null where the feed is off';
COMMENT ON COLUMN tailwater.views.state_size IS 'bytes of the state of its operators with indexes';
COMMENT ON COLUMN tailwater.views.rows_applied IS 'rows inserted into, updated in and deleted from the view since its statistics were last reset';
COMMENT ON COLUMN tailwater.views.last_error IS 'why a worker could not keep it up to date; null where it is, and for roles that may not read the view';
COMMENT ON COLUMN tailwater.views.lag_bytes IS 'of a deferred view: write-ahead log it does not cover yet; 0 where nothing was committed since';
COMMENT ON COLUMN tailwater.views.lag_transactions IS 'of a deferred view: transactions of the database that wrote something and that it does not cover yet';
COMMENT ON COLUMN tailwater.views.lag_seconds IS 'of a deferred view: age of the snapshot it is at; 0 where nothing was committed since';
