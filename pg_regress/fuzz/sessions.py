"""sessions - the concurrent mode: several sessions write at once; views are compared when all of them rest.

There is no mirror here (its order of events would differ), and no shrinking: a
race does not repeat on demand. What is written down is the case and what every
session did, in the order of the statements' ends. A follower of the feed checks
that the changes since the case began lead to what the views hold now.
"""
import collections
import os
import random
import signal
import subprocess
import threading
import time

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE as IDLE

from case import create_view, make_case, statement_script
from dml import Statement, Writer
from oracle import Abandoned, Failure, Oracle
from schema import make_tables

# errors that writers may cause each other, or themselves, whatever is maintained
EXPECTED = {"24000", "23505", "23503", "23502", "21000", "22003", "40001", "40P01", "25P02", "22012", "23514", "42P05", "26000", "3B001",
            # of ALTER TABLE, rules and views with CHECK OPTION
            "42701", "42703", "42P01", "42P07", "42P16", "42P17", "42809", "42804", "44000", "55000", "55006", "27000", "2BP01", "42704"}
# and some that are told by their words
PLAIN = ("cannot truncate", "rewritten", "moving row to another partition", "INSERT with ON CONFLICT clause cannot be used", "rules are not supported")
KILLED = {"57014", "25P01"}     # the second: its transaction ended with the connection


class Session(threading.Thread):
    """One writer: runs its statements, notes what became of them."""

    def __init__(self, number, oracle, statements, log, isolation, killed):
        super().__init__(name="session %d" % number)
        self.number = number
        self.connection = oracle.connect("live")
        self.oracle = oracle
        self.isolation = isolation
        self.killed = killed
        self.expected = EXPECTED | (KILLED if killed else set())
        self.statements = statements
        self.log = log
        self.problem = None
        self.set_isolation()

    def set_isolation(self):
        self.oracle.run(self.connection, "SET default_transaction_isolation = '%s'" % self.isolation)

    def one(self, statement):
        """Runs a statement; a session that was terminated goes on with a new connection."""
        try:
            return self.oracle.statement(self.connection, statement)
        except (psycopg2.Error, SystemError) as e:      # the driver's own trouble with COPY
            # it is not told why; tools/fuzz looks for crashes in the server's log
            if not self.killed:
                raise
            self.begin_again()
            return e if isinstance(e, psycopg2.Error) else None

    def begin_again(self):
        """Ends the old connection, which may have a transaction open still."""
        while True:
            try:
                self.connection.close()
                self.connection = self.oracle.connect("live")
                return self.set_isolation()
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                pass        # killed already; connect() gives up where there is no server

    def run(self):
        try:
            for statement in self.statements:
                error = self.one(statement)
                code = error.pgcode if error is not None else None
                self.log.append((self.number, statement_script(statement), code))
                self.oracle.counts["error " + code if code else "statements"] += 1
                if code and code not in self.expected and not any(words in str(error) for words in PLAIN):
                    self.problem = Failure("unexpected error", "%s %s" % (code, str(error).strip()), sqlstate=code)
                    break
            if self.connection.info.transaction_status != IDLE:
                self.one(Statement("ROLLBACK"))
        except psycopg2.Error as e:
            self.problem = Failure("server crash", str(e).strip())


class Killer(threading.Thread):
    """Cancels and terminates writers in the middle of what they do.

    With `crash` the maintainer too, and now and then a process is killed with
    signal 9, which makes the server start its recovery, or the whole server is.
    """
    GENTLE = ["cancel", "cancel", "terminate"]
    HARSH = GENTLE + ["cancel maintainer", "terminate maintainer"]
    CRASHES = ["kill -9 maintainer", "kill -9 maintainer", "kill -9 writer", "kill -9 sequencer", "kill -9 server"]
    WHO = {"maintainer": "backend_type = 'tailwater maintainer'", "sequencer": "backend_type = 'tailwater sequencer'"}
    WRITER = "application_name = 'fuzz live'"

    def __init__(self, oracle, rng, crash):
        super().__init__(name="killer", daemon=True)
        self.oracle, self.rng, self.crash = oracle, rng, crash
        self.connection = oracle.connect("mirror")
        self.over = threading.Event()

    def run(self):
        if self.crash and self.rng.random() < 0.6:
            self.over.wait(self.rng.random() * 0.6)
            self.strike(self.rng.choice(self.CRASHES))
        while not self.over.wait(self.rng.random() * 0.1):
            self.strike(self.rng.choice(self.HARSH if self.crash else self.GENTLE))

    def strike(self, how):
        try:
            if how == "kill -9 server":
                server("kill")
                server("start")
                done = True
            else:
                done = self.strike_process(*how.rsplit(" ", 1) if " " in how else (how, "writer"))
            self.oracle.counts[how] += bool(done)
        except psycopg2.Error:
            self.connection = self.oracle.connect("mirror")

    def strike_process(self, how, whom):
        busy = "true" if how == "kill -9" else "state <> 'idle'"
        where = "FROM pg_stat_activity WHERE %s AND %s ORDER BY random() LIMIT 1" % (self.WHO.get(whom, self.WRITER), busy)
        with self.connection.cursor() as c:
            if how != "kill -9":
                c.execute("SELECT pg_%s_backend(pid) %s" % (how, where))
                return c.rowcount
            c.execute("SELECT pid " + where)
            for pid, in c.fetchall():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    return False
                self.oracle.counts["kill -9 " + whom] += 1
                self.wait_for_crash(c)
        return False

    def wait_for_crash(self, cursor):
        """The server ends all sessions, this one too: raises when it has."""
        until = time.time() + 30
        while time.time() < until:
            cursor.execute("SELECT 1")
            time.sleep(0.01)

    def stop(self):
        self.over.set()
        self.join()
        self.connection.close()


def server(command):
    """Kills or starts the server that tools/fuzz made."""
    subprocess.run(["tools/private_cluster", command, os.environ["FUZZ_CLUSTER"]], check=True)


class Follower:
    """Holds each view as of a version, and applies the changes since then."""

    def __init__(self, oracle, case):
        self.oracle = oracle
        self.held = {}          # by the view's name: epoch, version, rows
        for view in case.views:
            self.begin(view)

    def ask(self, sql):
        with self.oracle.live.cursor() as c:
            c.execute(sql)
            return c.fetchall()

    def rows(self, view):
        return collections.Counter(row for row, in self.ask("SELECT to_jsonb(v)::text FROM %s AS v" % view.name))

    def place(self, view):
        return self.ask("SELECT epoch, tailwater.version() FROM tailwater.views WHERE view = '%s'::regclass" % view.name)[0]

    def begin(self, view):
        self.held[view.name] = self.place(view) + (self.rows(view),)

    def check(self, case):
        """When all writers rest and sync() has returned; raises Failure."""
        for view in case.views:
            epoch, version, rows = self.held[view.name]
            if self.place(view)[0] != epoch:        # announced: the view was altered
                self.begin(view)
                self.oracle.counts["new epochs"] += 1
                continue
            got = collections.Counter(rows)
            for row, diff in self.ask("SELECT row::text, tw_diff FROM tailwater.changes('%s', %d)" % (view.name, version)):
                got[row] += diff
            want = self.rows(view)
            if {r: n for r, n in got.items() if n} != dict(want):
                raise Failure("gap in the feed", "after version %d: only in feed: %s; only in view: %s"
                              % (version, str(got - want)[:300], str(want - got)[:300]), view, view.columns)
            self.oracle.counts["feeds"] += 1
            self.begin(view)


def play(oracle, case, tables, seed, options, log):
    """Rounds of concurrent writing; raises Failure."""
    oracle.prepare()
    oracle.create_tables(case)
    oracle.create_views(case)
    oracle.run(oracle.live, "SELECT tailwater.sync()")
    follower = Follower(oracle, case)
    crash = options.kill and options.mode == "deferred"
    for turn in range(4):
        sessions = []
        for number in range(options.sessions):
            rng = random.Random("%d/%d/%d" % (seed, turn, number))
            writer = Writer(rng, tables, options.transactions)
            writer.prepared = turn * 1000
            count = 25 if crash else 10
            sessions.append(Session(number, oracle, writer.statements(count), log, options.isolation,
                                    options.kill))
        killer = Killer(oracle, random.Random("%d/%d" % (seed, turn)), crash) if options.kill else None
        for thread in sessions + ([killer] if killer else []):
            thread.start()
        for session in sessions:
            session.join()
        if killer:
            killer.stop()
        for session in sessions:
            session.connection.close()
        for session in sessions:
            if session.problem:
                raise session.problem
        log.append((None, "-- all sessions rest", None))
        if crash:
            oracle.close()
            oracle.open()
        oracle.forget_prepared(oracle.live)
        if options.mode == "deferred":
            settle(oracle, case)
        oracle.check(case, None)
        oracle.verify(case, None)
        oracle.run(oracle.live, "SELECT tailwater.sync()")
        follower.check(case)


def who_waits(oracle):
    """What all processes do, for a case that hangs."""
    with oracle.connect("mirror") as connection, connection.cursor() as c:
        c.execute("SELECT pid, backend_type, state, wait_event, pg_blocking_pids(pid), left(query, 80) FROM pg_stat_activity "
                  "WHERE backend_type ~ 'tailwater|client' OR wait_event_type = 'Lock'")
        lines = c.fetchall()
        c.execute("SELECT view, last_error FROM tailwater.views WHERE last_error IS NOT NULL")
        return "\n".join(map(str, lines + c.fetchall()))


def settle(oracle, case):
    """Waits for deferred views; one whose query raises never gets there."""
    try:
        oracle.run(oracle.live, "SELECT tailwater.sync()")
    except psycopg2.errors.QueryCanceled:
        for view in case.views:
            try:
                oracle.run(oracle.live, "SELECT count(x::text) FROM (%s) AS x" % view.sql(exact=True))
            except psycopg2.Error:
                raise Abandoned("a view's query raises")
        raise


def write_down(case, failure, log, seed, options):
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "sessions-%d.sql" % seed)
    lines = ["-- seed %d, %d sessions: %s" % (seed, options.sessions, failure.headline().replace("\n", "\n-- "))]
    for ddl in case.ddl:
        lines += [d + ";" for d in ddl]
    lines += [statement_script(s) for s in case.initial] + [f + ";" for f in case.functions] + [create_view(v, options.mode) + ";" for v in case.views]
    for number, text, code in log:
        lines.append("/* session %s%s */ %s" % (number, " failed with " + code if code else "", text))
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("written to " + path, flush=True)


def run_concurrent(options):
    options.risky = 0
    oracle = Oracle(options.mode)
    oracle.counts = collections.Counter()
    until = time.time() + options.seconds
    failures = 0
    seed = options.seed
    while time.time() < until and (options.cases is None or seed - options.seed < options.cases):
        case = make_case(seed, options)
        tables = make_tables(random.Random(seed), options)      # the same tables: make_case begins with them
        log = []
        failure = None
        try:
            play(oracle, case, tables, seed, options, log)
        except Failure as f:
            failure = f
        except Abandoned:
            oracle.counts["abandoned"] += 1
        except psycopg2.Error as e:
            failure = Failure("unexpected error", "%s %s\n%s" % (e.pgcode, str(e).strip(), who_waits(oracle)))
        oracle.counts["cases"] += 1
        if failure:
            failures += 1
            print("seed %d: %s" % (seed, failure.headline()), flush=True)
            write_down(case, failure, log, seed, options)
            oracle.close()
            if failures >= options.keep_going:
                break
        seed += 1
    oracle.close()
    print("fuzz: " + ", ".join("%s %d" % item for item in sorted(oracle.counts.items())))
    print("fuzz: %d failures" % failures)
    return 1 if failures else 0
