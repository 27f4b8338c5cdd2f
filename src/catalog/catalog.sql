/* ---- catalog: schemas, and the tables in which tailwater remembers its views ---- */

DO $$
BEGIN
	IF 'tailwater' <> ALL (pg_catalog.string_to_array(pg_catalog.replace(
			pg_catalog.current_setting('shared_preload_libraries'), ' ', ''), ',')) THEN
		RAISE EXCEPTION 'tailwater must be loaded via shared_preload_libraries'
			USING ERRCODE = '55000',
				HINT = 'Add shared_preload_libraries = ''tailwater'' to postgresql.conf and restart the server.';
	END IF;
END $$;

CREATE SCHEMA tailwater;
CREATE SCHEMA tailwater_internal;
GRANT USAGE ON SCHEMA tailwater TO PUBLIC;

-- What users asked for. The only table that is dumped: REFRESH, the last thing
-- that a dump does for a view, attaches it again.
CREATE TABLE tailwater_internal.view (
	view regclass PRIMARY KEY,
	mode text NOT NULL CHECK (mode IN ('immediate', 'deferred')),
	feed boolean NOT NULL DEFAULT true);
-- An owner of views may dump and restore them; trigger list() looks at what he inserts, and puts it in itself.
GRANT SELECT, INSERT ON tailwater_internal.view TO PUBLIC;
-- A view that belongs to another extension is listed again by that extension's script.
SELECT pg_catalog.pg_extension_config_dump('tailwater_internal.view', $$WHERE NOT EXISTS (
	SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.objid = view AND d.deptype = 'e')$$);

-- One row per view that is kept up to date right now.
CREATE TABLE tailwater_internal.attachment (
	view oid PRIMARY KEY,
	mode "char" NOT NULL,              -- i immediate, d deferred
	epoch bigint NOT NULL,             -- changes when positions in the feed lose their meaning
	log oid NOT NULL,                  -- change log table, 0: feed off
	key_index oid NOT NULL,            -- index by which rows of the view are found
	attached_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	-- The attaching transaction: positions whose snapshot does not see it are not valid for this view.
	attached_xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
	key_columns int2vector NOT NULL,   -- columns that identify a row, empty: its image does
	strategy text NOT NULL);           -- incremental, keyed or recompute: its costliest operator's

-- The cluster in which the attachments were made: pg_upgrade copies them, but not what they rely on.
CREATE TABLE tailwater_internal.cluster (
	system_identifier bigint NOT NULL);
INSERT INTO tailwater_internal.cluster SELECT system_identifier FROM pg_catalog.pg_control_system();

-- Empty after a crash, as unlogged base tables are: then views that read such tables are computed again.
CREATE UNLOGGED TABLE tailwater_internal.unlogged (
	survived boolean NOT NULL);
INSERT INTO tailwater_internal.unlogged VALUES (true);

-- The settings (name=value) under which views are evaluated, by whom and after whichever restart; empty until a worker has looked.
CREATE TABLE tailwater_internal.pinned (
	settings text[] NOT NULL);

-- Why a listed view is not kept up to date, where a worker tried and failed.
CREATE TABLE tailwater_internal.last_error (
	view oid PRIMARY KEY,
	message text NOT NULL,
	happened_at timestamptz NOT NULL);

-- Base tables (and their partitions and children) of each view.
CREATE TABLE tailwater_internal.base (
	base oid, view oid, PRIMARY KEY (base, view));
CREATE INDEX base_view ON tailwater_internal.base (view);

-- Views whose first content is being computed while their base tables are written (docs/internals/maintenance.md).
CREATE TABLE tailwater_internal.build (
	view oid PRIMARY KEY,
	created boolean NOT NULL,          -- the view was created for it, and goes if it fails
	listed boolean NOT NULL);          -- the view was listed for it
-- Tables whose changes are recorded for them; `changes` is where, 0: among those of what the table is part of.
CREATE TABLE tailwater_internal.recording (
	base oid, view oid, changes oid NOT NULL, alone boolean NOT NULL,
	broken boolean NOT NULL,           -- the table was altered: recording has ended
	PRIMARY KEY (base, view));
CREATE INDEX recording_view ON tailwater_internal.recording (view);

-- State tables of operators that keep state.
CREATE TABLE tailwater_internal.state (
	view oid, operator int, relation oid NOT NULL, PRIMARY KEY (view, operator));

-- Hidden relations of views whose queries are chains of queries, see src/analyze/decompose.hpp.
CREATE TABLE tailwater_internal.inner_relation (
	relation oid PRIMARY KEY,
	view oid NOT NULL,
	number int NOT NULL,               -- of the part of the query
	key_index oid NOT NULL,            -- index by which its rows are found
	key_columns int2vector NOT NULL,   -- columns that identify a row, empty: its image does
	places int2vector NOT NULL);       -- where the view's query was cut, the same in all its rows
CREATE UNIQUE INDEX inner_relation_view ON tailwater_internal.inner_relation (view, number);

-- Versions: the changes of version v are the log rows whose xid snapshot(v)
-- sees and snapshot(v - 1) does not.
CREATE TABLE tailwater_internal.version (
	version bigint PRIMARY KEY,
	snapshot pg_catalog.pg_snapshot NOT NULL,
	lsn pg_catalog.pg_lsn NOT NULL,
	committed_at timestamptz NOT NULL,
	timeline bigint NOT NULL);         -- of the write-ahead log: another one leaves a gap in the numbers

-- How far the deferred views are: they are as the snapshot sees the database,
-- and the write-ahead log was decoded up to the position. One row.
CREATE TABLE tailwater_internal.frontier (
	snapshot pg_catalog.pg_snapshot NOT NULL,
	lsn pg_catalog.pg_lsn NOT NULL,
	advanced_at timestamptz NOT NULL,
	timeline bigint NOT NULL);         -- of the write-ahead log: a slot that was made on another one is of no use

-- What the replica identity of tables was before it was set to FULL for deferred views.
CREATE TABLE tailwater_internal.replica_identity (
	relation oid PRIMARY KEY,
	identity "char" NOT NULL,          -- as in pg_class.relreplident
	index oid NOT NULL);               -- of REPLICA IDENTITY USING INDEX

-- Deferred views that the maintainer is to compute as a whole.
CREATE TABLE tailwater_internal.rebuild (
	view oid PRIMARY KEY,
	since timestamptz NOT NULL);

CREATE FUNCTION tailwater_internal.fits_index(VARIADIC "any") RETURNS boolean
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'tailwater_fits_index';
COMMENT ON FUNCTION tailwater_internal.fits_index(VARIADIC "any") IS
	'true if the values are short enough for an entry of a B-tree';
