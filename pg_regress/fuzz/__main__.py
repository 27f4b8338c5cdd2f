"""fuzz - random views and statements against the oracle (tools/fuzz starts the server).

Exits 0 if every view was right after every statement. Otherwise shrinks the
first failing case to a script, prints it, keeps it in the output directory and
exits 1. `--seed N` repeats a run, `--cases 1` just its first case.
"""
import argparse
import copy
import os
import random
import sys
import time

from case import make_case, script
from sessions import run_concurrent
from oracle import Oracle
from shrink import Shrinker


def arguments():
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--mode", choices=("immediate", "deferred", "plain"), default="immediate",
                        help="plain: REFRESHed materialized views, which tests the generator")
    parser.add_argument("--statements", type=int, default=20, help="statements a case")
    parser.add_argument("--views", type=int, default=4, help="views a case, at most")
    parser.add_argument("--only", help="only these kinds of queries, separated by commas (query.py)")
    parser.add_argument("--triggers", type=float, default=0.15)
    parser.add_argument("--partitioned", type=float, default=0.12)
    parser.add_argument("--policies", type=float, default=0.1, help="probability of row level security in a case")
    parser.add_argument("--functions", type=float, default=0.2, help="probability of SQL functions in a case")
    parser.add_argument("--bulk", type=float, help="probability of statements of many rows in a case, with little work_mem; 0.1, or 0 in "
                        "deferred mode, where nobody notices in time that a query has become too slow")
    parser.add_argument("--transactions", type=float, default=0.2)
    parser.add_argument("--risky", type=float, default=0.02, help="probability of expressions that may raise")
    parser.add_argument("--sessions", type=int, default=0, help="concurrent sessions instead of one")
    parser.add_argument("--kill", action="store_true", help="cancel and terminate the concurrent sessions (3) at random; with --mode deferred also the "
                        "maintainer, and kill -9 of it, of others and of the server")
    parser.add_argument("--isolation", default="read committed", help="of the concurrent sessions")
    parser.add_argument("--shrink", type=float, default=60, help="seconds for making a failing case small")
    parser.add_argument("--keep-going", type=int, default=1, help="stop after so many failures")
    parser.add_argument("--out", default="build/fuzz")
    options = parser.parse_args()
    options.weights = None
    if options.only:
        from query import WEIGHTS
        options.weights = {k: (WEIGHTS[k] if k in options.only.split(",") else 0) for k in WEIGHTS}
    if options.kill and not options.sessions:
        options.sessions = 3
    if options.bulk is None:
        options.bulk = 0 if options.mode == "deferred" else 0.1
    if options.mode == "deferred":
        options.risky = 0       # a deferred view cannot make a writer fail
    if options.seed is None:
        options.seed = random.SystemRandom().randint(1, 10 ** 6)
    return options


def report(case, failure, options):
    text = script(case, failure, options.mode)
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "fuzz-%d.sql" % case.seed)
    with open(path, "w") as f:
        f.write(text)
    print("---- %s ----\n%s----" % (path, text))
    print("repeat: make fuzz SEED=%d FUZZ_OPTIONS='--cases 1%s'"
          % (case.seed, "" if options.mode == "immediate" else " --mode " + options.mode), flush=True)


def main():
    options = arguments()
    print("fuzz: seed %d, %g seconds, %s" % (options.seed, options.seconds, options.mode), flush=True)
    if options.sessions:
        return run_concurrent(options)
    oracle = Oracle(options.mode)
    until = time.time() + options.seconds
    failures = 0
    seed = options.seed
    while time.time() < until and (options.cases is None or seed - options.seed < options.cases):
        case = make_case(seed, options)
        failure = oracle.outcome(copy.deepcopy(case))
        if failure:
            failures += 1
            print("seed %d: %s" % (seed, failure.headline()), flush=True)
            oracle.close()
            report(*Shrinker(Oracle(options.mode), case, failure, options.shrink).shrink(), options)
            if failures >= options.keep_going:
                break
        seed += 1
    oracle.close()
    print("fuzz: " + ", ".join("%s %d" % item for item in sorted(oracle.counts.items())))
    print("fuzz: views by kind: " + ", ".join("%s %d" % item for item in oracle.kinds.most_common()))
    if oracle.counts["invalid queries"] or oracle.counts["invalid functions"]:
        print("fuzz: the generator made an invalid query or function: " + oracle.last_invalid)
    print("fuzz: %d failures" % failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
