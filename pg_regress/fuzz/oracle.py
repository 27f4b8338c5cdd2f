"""oracle - runs a case and decides whether every view was right after every statement.

Each statement runs twice: on the `mirror`, where the views are ordinary views,
and on the `live` schema, where they are live views. What the mirror says about
errors must hold for the live schema: a statement that fails there, or after
which a view's query fails, must fail here and leave everything untouched; any
other must succeed. Then every live view is compared with its query, row by row,
each column as text: equal text is equal image for the types of schema.py. The
query is taken with tailwater's exact sums of floats, as live views are.
"""
import collections
import io
import time

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE as IDLE
from psycopg2.extensions import TRANSACTION_STATUS_INERROR as INERROR

from case import create_view, grants
from dml import Statement
from tree import render

# The mirror sets the pace: what takes it long is not worth the time.
LIMIT = {"live": "30s", "mirror": "1s"}


class Failure(Exception):
    """The extension was wrong."""

    def __init__(self, kind, detail, view=None, columns=(), at=None, sqlstate=None):
        super().__init__(kind)
        self.kind, self.detail, self.view, self.columns = kind, detail, view, columns
        self.at, self.sqlstate = at, sqlstate

    def headline(self):
        return "%s%s: %s" % (self.kind, " in %s" % self.view.name if self.view else "", self.detail)

    def same(self, other):
        return other is not None and (self.kind, self.sqlstate) == (other.kind, other.sqlstate)


# Whether a query raises a data error may depend on the plan: such cases are of no use.
OTHER_PLANS = ("SET LOCAL enable_mergejoin = off; SET LOCAL enable_hashjoin = off",
               "SET LOCAL enable_mergejoin = off; SET LOCAL enable_nestloop = off",
               "SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off",
               "SET LOCAL join_collapse_limit = 1; SET LOCAL from_collapse_limit = 1",
               "ANALYZE")


class Abandoned(Exception):
    """The case itself is of no use (it takes too long, say)."""


class Oracle:
    def __init__(self, mode, verify_every=15):
        self.mode = mode
        self.verify_every = verify_every
        self.live = self.mirror = None
        self.counts = collections.Counter()
        self.kinds = collections.Counter()

    # ---- connections ----

    def connect(self, schema):
        until = time.time() + 30
        while True:
            try:
                connection = psycopg2.connect(application_name="fuzz " + schema)
                connection.autocommit = True
                with connection.cursor() as c:
                    c.execute("SET search_path = %s, public; SET timezone = 'UTC'; SET client_min_messages = error; "
                              "SET statement_timeout = '%s'" % (schema, LIMIT[schema]))
                return connection
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                if time.time() > until:
                    raise
                time.sleep(0.3)

    def open(self):
        self.live, self.mirror = self.connect("live"), self.connect("mirror")

    def close(self):
        for connection in (self.live, self.mirror):
            try:
                if connection:
                    connection.close()
            except psycopg2.Error:
                pass
        self.live = self.mirror = None

    def prepare(self):
        """Two empty schemas, and two sessions that know nothing of the last case."""
        if self.live is None or self.live.closed or self.mirror is None or self.mirror.closed:
            self.close()
            self.open()
        for connection, schema in ((self.live, "live"), (self.mirror, "mirror")):
            if connection.info.transaction_status != IDLE:
                self.run(connection, "ROLLBACK")
            self.become(connection, None)
            self.run(connection, "DEALLOCATE ALL")
            self.forget_prepared(connection)
            self.run(connection, "SET client_min_messages = error")
            try:
                self.run(connection, "DROP SCHEMA IF EXISTS %s CASCADE" % schema)
            except psycopg2.Error as e:
                raise Failure("drop schema", str(e).strip(), sqlstate=e.pgcode)
            self.run(connection, "CREATE SCHEMA %s" % schema)

    def forget_prepared(self, connection):
        """Rolls back what a killed session, or half of a case, has left prepared."""
        with connection.cursor() as c:
            c.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
            for gid, in c.fetchall():
                c.execute("ROLLBACK PREPARED %s", (gid,))

    def run(self, connection, sql):
        with connection.cursor() as c:
            c.execute(sql)

    def statement(self, connection, statement):
        """Runs a statement; returns None or the error."""
        try:
            with connection.cursor() as c:
                if statement.copy is not None:
                    c.copy_expert(render(statement.tree), io.StringIO(render(statement.copy) + "\n"))
                else:
                    for text in statement.texts("live" if connection is self.live else "mirror"):
                        c.execute(text)
            return None
        except psycopg2.Error as e:
            if connection.closed:
                raise
            if statement.steps and connection.info.transaction_status != IDLE:
                self.run(connection, "ROLLBACK")
            return e

    # ---- tables and views ----

    def create_tables(self, case):
        """Creates and fills the tables in both schemas."""
        for ddl in case.ddl:
            for sql in ddl:
                self.run(self.mirror, sql)
                self.run(self.live, sql)
        for statement in case.initial:
            self.statement(self.mirror, statement)
            self.statement(self.live, statement)
        for sql in case.functions:
            try:
                self.run(self.mirror, sql)
            except psycopg2.Error as e:
                self.counts["invalid functions"] += 1
                self.last_invalid = "%s\n%s" % (sql, e)
                raise Abandoned("invalid function")
            self.run(self.live, sql)

    def create_views(self, case):
        """Creates the views in both schemas; drops from the case those whose query is not valid or raises."""
        for connection, schema in ((self.live, "live"), (self.mirror, "mirror")):
            for grant in grants(case, schema):
                self.run(connection, grant)
            self.become(connection, case.reader)
        try:
            self.create_each(case)
        finally:
            for connection in (self.live, self.mirror):
                if not connection.closed:
                    self.become(connection, None)

    def become(self, connection, role):
        """None: the user that writes."""
        self.run(connection, "SET ROLE " + (role or "NONE"))

    def create_each(self, case):
        for view in list(case.views):
            try:
                self.run(self.mirror, "CREATE VIEW %s AS %s" % (view.name, view.sql()))
            except psycopg2.Error as e:
                self.counts["invalid queries"] += 1
                self.last_invalid = "%s\n%s" % (view.sql(), e)
                raise Abandoned("invalid query: " + self.last_invalid)
            view.columns = self.columns(view)
            raises = self.mirror_raises([view])
            try:
                self.run(self.live, create_view(view, self.mode))
            except psycopg2.Error as e:
                if raises:
                    case.views.remove(view)
                    self.run(self.mirror, "DROP VIEW %s" % view.name)
                    dependent = [v for v in case.views if view.name + " " in v.sql()]
                    if dependent:
                        raise Abandoned("a view that others read raises")
                    continue
                raise Failure("refused", "%s %s\n%s" % (e.pgcode, str(e).strip(), view.sql()), view, view.columns,
                              sqlstate=e.pgcode)
            if raises:
                raise Failure("view of a query that raises was created", str(raises), view, view.columns)
            self.counts["views"] += 1
            self.kinds[view.kind] += 1

    def columns(self, view):
        with self.mirror.cursor() as c:
            c.execute("SELECT * FROM %s LIMIT 0" % view.name)
            return [d.name for d in c.description]

    def query_raises(self, view, prepare=None):
        """The error that a view's query raises on the mirror, or None. Evaluates every column of every row."""
        within = self.mirror.info.transaction_status != IDLE
        try:
            self.run(self.mirror, "SAVEPOINT query" if within else "BEGIN")
            if prepare:
                self.run(self.mirror, prepare)
            self.run(self.mirror, "SELECT sum(length(x::text)) FROM (SELECT ARRAY[%s] AS x FROM %s) AS a"
                     % (", ".join('"%s"::text' % c for c in view.columns), view.name))
        except psycopg2.errors.QueryCanceled:
            raise Abandoned("too slow")
        except psycopg2.Error as e:
            return e
        finally:
            if not self.mirror.closed:
                self.run(self.mirror, "ROLLBACK TO query; RELEASE query" if within else "ROLLBACK")
        return None

    def mirror_raises(self, views):
        """The error that a view's query raises on the mirror, whatever the plan, or None; in a transaction it is aborted."""
        for view in views:
            error = self.query_raises(view)
            if error is None:
                continue
            if not all(self.query_raises(view, plan) for plan in OTHER_PLANS):
                raise Abandoned("the plan decides whether a query raises")
            if self.mirror.info.transaction_status != IDLE:
                try:
                    self.run(self.mirror, "ROLLBACK TO query")
                except psycopg2.Error:
                    pass
            return error
        return None

    def some_plan_raises(self, views):
        return any(self.query_raises(view, plan) for view in views for plan in OTHER_PLANS)

    def compare(self, case, at):
        """Every view against its query, in one statement."""
        parts = []
        for i, view in enumerate(case.views):
            array = "ARRAY[%s]" % ", ".join('"%s"::text' % c for c in view.columns)
            parts.append("SELECT %d, 0, %s FROM %s" % (i, array, view.name))
            parts.append("SELECT %d, 1, %s FROM (%s) AS q" % (i, array, view.sql(exact=True)))
        if not parts:
            return
        with self.live.cursor() as c:
            try:
                self.become(self.live, case.reader)
                c.execute(" UNION ALL ".join(parts))
                self.become(self.live, None)
            except psycopg2.Error as e:
                raise Failure("a view cannot be read", str(e).strip(), at=at, sqlstate=e.pgcode)
            sides = [(collections.Counter(), collections.Counter()) for _ in case.views]
            for i, side, row in c:
                sides[i][side][tuple(row)] += 1
        self.counts["comparisons"] += len(case.views)
        for view, (got, want) in zip(case.views, sides):
            if got != want:
                self.mismatch(view, got - want, want - got, at)

    def mismatch(self, view, extra, missing, at):
        def show(rows):
            return "; ".join("%d x %s" % (n, repr(r)[:160]) for r, n in sorted(rows.items(), key=repr)[:4]) or "none"
        raise Failure("mismatch", "only in view: %s\nonly in query: %s" % (show(extra), show(missing)), view,
                      view.columns, at)

    def check(self, case, at):
        if self.mode == "plain":
            for view in case.views:
                self.run(self.live, "RESET ALL; SET search_path = live, public; SET timezone = 'UTC'")
                self.run(self.live, "REFRESH MATERIALIZED VIEW %s" % view.name)
            # other plans must give the same answer, or the generator made an ambiguous query
            self.run(self.live, "SET enable_hashjoin = off; SET enable_hashagg = off; SET enable_nestloop = off; "
                                "SET enable_indexscan = off; SET enable_bitmapscan = off")
        elif self.mode == "deferred":
            if self.live.info.transaction_status != IDLE:
                return
            self.run(self.live, "SELECT tailwater.sync()")
        self.compare(case, at)

    def verify(self, case, at):
        """The extension's own opinion must be the same."""
        if self.mode == "plain":
            return
        for view in case.views:
            with self.live.cursor() as c:
                c.execute("SELECT tailwater.verify('%s')" % view.name)
                rows = c.fetchone()[0]
            if rows != 0:
                raise Failure("verify", "tailwater.verify() found %d rows" % rows, view, view.columns, at)

    # ---- statements ----

    def step(self, case, statement, at):
        """One statement on both sides."""
        self.counts["statements"] += 1
        outside = self.mirror.info.transaction_status == IDLE
        in_error = self.mirror.info.transaction_status == INERROR
        control = statement.steps is not None or \
            render(statement.tree).split()[0] in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
        if outside and not control:
            self.run(self.mirror, "BEGIN")
        wrong = self.statement(self.mirror, statement)
        if isinstance(wrong, psycopg2.errors.QueryCanceled):
            raise Abandoned("too slow")
        if wrong is None and outside and not control:
            wrong = self.statement(self.mirror, Statement("SET CONSTRAINTS ALL IMMEDIATE"))
        if wrong is None and statement.steps and self.mirror_raises(case.views):
            raise Abandoned("a view's query raises")
        if wrong is None and not in_error and not (self.mode == "deferred"):
            if self.mirror.info.transaction_status not in (IDLE, INERROR):
                wrong = self.mirror_raises(case.views)
            if wrong is not None and self.mode == "plain":
                raise Abandoned("a view's query raises")
        got = self.statement(self.live, statement)
        if got is not None and got.pgcode[:2] == "XX":
            raise Failure("internal error", str(got).strip(), at=at, sqlstate=got.pgcode)
        if wrong is not None and got is None:
            raise Failure("statement succeeded", "expected: %s" % str(wrong).strip(), at=at, sqlstate=wrong.pgcode)
        if wrong is None and got is not None:
            if got.pgcode == "57014" and case.memory:
                raise Abandoned("maintenance is too slow")      # counted; tables without statistics mislead the planner
            if got.pgcode[:2] == "22" and self.some_plan_raises(case.views):
                raise Abandoned("the plan decides whether a query raises")
            raise Failure("statement failed", "%s %s\n%s" % (got.pgcode, str(got).strip(), render(statement.tree)[:300]),
                          at=at, sqlstate=got.pgcode)
        self.counts["errors"] += got is not None
        if outside and not control:
            self.run(self.mirror, "ROLLBACK" if wrong is not None else "COMMIT")
        if self.live.info.transaction_status != self.mirror.info.transaction_status:
            raise Abandoned("transaction states differ")
        if self.live.info.transaction_status != INERROR:
            self.check(case, at)

    def play(self, case):
        """Runs a case; raises Failure or Abandoned."""
        started = time.time()
        self.prepare()
        self.run(self.live, "SET work_mem = '%s'" % (case.memory or "4MB"))
        self.create_tables(case)
        self.create_views(case)
        self.check(case, None)
        for at, statement in enumerate(case.statements):
            self.step(case, statement, at)
            if at % self.verify_every == self.verify_every - 1 and self.live.info.transaction_status == IDLE:
                self.verify(case, at)
            if time.time() - started > 30:
                raise Abandoned("too slow")
        self.counts["cases"] += 1

    def outcome(self, case):
        """None, or the Failure of a case."""
        try:
            self.play(case)
        except Failure as failure:
            return failure
        except Abandoned as reason:
            self.counts["abandoned: " + str(reason)[:30].split(":")[0]] += 1
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as e:
            self.close()
            return Failure("server crash", str(e).strip().split("\n")[0])
        except psycopg2.Error as e:
            # what the harness itself does must always work
            return Failure("unexpected error", "%s %s" % (e.pgcode, str(e).strip()), sqlstate=e.pgcode)
        return None
