"""sessions - the concurrent mode: several sessions write at once; views are compared when all of them rest.

There is no mirror here (its order of events would differ), and no shrinking: a
race does not repeat on demand. What is written down is the case and what every
session did, in the order of the statements' ends.
"""
import collections
import os
import random
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
            self.connection = self.oracle.connect("live")
            self.set_isolation()
            return e if isinstance(e, psycopg2.Error) else None

    def run(self):
        try:
            for statement in self.statements:
                error = self.one(statement)
                code = error.pgcode if error is not None else None
                self.log.append((self.number, statement_script(statement), code))
                self.oracle.counts["error " + code if code else "statements"] += 1
                if code and code not in self.expected and "cannot truncate" not in str(error) and "rewritten" not in str(error):
                    self.problem = Failure("unexpected error", "%s %s" % (code, str(error).strip()), sqlstate=code)
                    break
            if self.connection.info.transaction_status != IDLE:
                self.one(Statement("ROLLBACK"))
        except psycopg2.Error as e:
            self.problem = Failure("server crash", str(e).strip())


class Killer(threading.Thread):
    """Cancels and terminates writers in the middle of what they do."""

    def __init__(self, oracle, rng):
        super().__init__(name="killer", daemon=True)
        self.oracle, self.rng = oracle, rng
        self.connection = oracle.connect("mirror")
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.rng.random() * 0.1):
            how = self.rng.choice(["cancel", "cancel", "terminate"])
            with self.connection.cursor() as c:
                c.execute("SELECT pg_%s_backend(pid) FROM pg_stat_activity WHERE application_name = 'fuzz live' "
                          "AND state <> 'idle' ORDER BY random() LIMIT 1" % how)
                if c.rowcount:
                    self.oracle.counts[how] += 1

    def stop(self):
        self.over.set()
        self.join()
        self.connection.close()


def play(oracle, case, tables, seed, options, log):
    """Rounds of concurrent writing; raises Failure."""
    oracle.prepare()
    oracle.create_tables(case)
    oracle.create_views(case)
    for turn in range(4):
        sessions = []
        for number in range(options.sessions):
            rng = random.Random("%d/%d/%d" % (seed, turn, number))
            writer = Writer(rng, tables, options.transactions)
            writer.prepared = turn * 1000
            sessions.append(Session(number, oracle, writer.statements(10), log, options.isolation,
                                    options.kill))
        killer = Killer(oracle, random.Random("%d/%d" % (seed, turn))) if options.kill else None
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
        oracle.forget_prepared(oracle.live)
        oracle.check(case, None)
        oracle.verify(case, None)


def write_down(case, failure, log, seed, options):
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "sessions-%d.sql" % seed)
    lines = ["-- seed %d, %d sessions: %s" % (seed, options.sessions, failure.headline().replace("\n", "\n-- "))]
    for ddl in case.ddl:
        lines += [d + ";" for d in ddl]
    lines += [statement_script(s) for s in case.initial] + [create_view(v, options.mode) + ";" for v in case.views]
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
            failure = Failure("unexpected error", "%s %s" % (e.pgcode, str(e).strip()))
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
