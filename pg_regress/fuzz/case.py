"""case - one random case: tables, rows, views, statements; and its script."""
import random

from dml import Statement, Writer
from functions import make_functions
from query import Generator
from schema import READER, TYPE_DDL, make_large, make_policies, make_tables
from tree import render


class View:
    def __init__(self, name, query):
        self.name = name
        self.tree = query.tree
        self.kind = query.kind

    def sql(self, exact=False):
        return render(self.tree, exact)


class Case:
    def __init__(self, seed):
        self.seed = seed
        self.reader = None      # role that owns the views; None: who writes
        self.ddl = []           # one list per table; the first is CREATE TABLE
        self.memory = None      # work_mem, if it is to be too small
        self.functions = []     # CREATE FUNCTION
        self.initial = []       # Statements before the views exist
        self.views = []
        self.statements = []


def make_case(seed, options):
    rng = random.Random(seed)
    case = Case(seed)
    tables = make_tables(rng, options)
    hidden = random.Random(-seed)       # of its own: cases without policies stay what they were
    if hidden.random() < options.policies:
        case.reader = READER
        make_policies(hidden, tables)
    if random.Random(7 * seed + 3).random() < options.bulk:
        make_large(tables)
        case.memory = "64kB"
    case.ddl = [[d] for d in TYPE_DDL] + [t.ddl for t in tables]
    for t in tables:
        if rng.random() < 0.9:
            # rows that break a foreign key would take the others with them: one statement each
            count = rng.randint(3, 16)
            if t.parent:
                case.initial += [Statement(t.insert(rng, 1, " ON CONFLICT DO NOTHING")) for _ in range(count)]
            else:
                case.initial.append(Statement(t.insert(rng, count, " ON CONFLICT DO NOTHING")))
    case.initial += [Statement(late) for t in tables for late in t.late]
    relations = []
    for t in tables:
        columns = [(c.name, c.type, c.safe) for c in t.columns + t.extra]
        relations.append((t.name, columns))
        if t.below and rng.random() < 0.5:
            relations.append((rng.choice(t.below), columns))
        if t.only and rng.random() < 0.5:
            relations.append(("ONLY " + t.name, columns))
    apart = random.Random(3 * seed + 1)     # the same
    functions, weights, risky = [], options.weights, options.risky
    if apart.random() < options.functions:
        functions = make_functions(apart, tables, list(relations))
        weights = weights or {"called": 12}
        risky = 0       # whether an argument is computed that is not used is up to the server
        case.functions = [f.ddl for f in functions]
    for i in range(rng.randint(1, options.views)):
        generator = Generator(rng, relations, weights, risky, functions)
        query = generator.query(1)
        name = "v%d" % i
        case.views.append(View(name, query))
        if rng.random() < 0.35:
            relations.append((name, query.columns))     # later views may read this one
    case.statements = Writer(rng, tables, options.transactions).statements(options.statements)
    return case


def grants(case, schema):
    """What the owner of the views needs."""
    if not case.reader:
        return []
    return ["GRANT ALL ON SCHEMA %s TO %s" % (schema, case.reader),
            "GRANT ALL ON ALL TABLES IN SCHEMA %s TO %s" % (schema, case.reader)]


def create_view(view, mode):
    if mode == "plain":
        return "CREATE MATERIALIZED VIEW %s AS %s" % (view.name, view.sql(exact=True))
    return "CREATE MATERIALIZED VIEW %s WITH (tailwater.maintain = %s) AS %s" % (view.name, mode, view.sql())


def statement_script(statement):
    text = ";\n".join(statement.texts("live")) + ";"
    if statement.copy is not None:
        text += "\n" + render(statement.copy) + "\n\\."
    return text


def comparison(view, columns):
    """The rows by which a view and its query differ, by image."""
    texts = ", ".join('"%s"::text COLLATE "C"' % c for c in columns)
    live = "SELECT %s FROM %s" % (texts, view.name)
    query = "SELECT %s FROM (%s) AS q" % (texts, view.sql(exact=True))
    return ("SELECT 'only in view' AS fault, * FROM (%s EXCEPT ALL %s) AS a\nUNION ALL\n"
            "SELECT 'only in query', * FROM (%s EXCEPT ALL %s) AS b;" % (live, query, query, live))


def script(case, failure, mode):
    """A failing case as a script for psql."""
    lines = ["-- seed %d: %s" % (case.seed, failure.headline().replace("\n", "\n-- ")),
             "-- psql -X -f this file, in an empty database", "CREATE EXTENSION IF NOT EXISTS tailwater;",
             "CREATE EXTENSION IF NOT EXISTS citext;"]
    if case.reader:
        lines.append("CREATE ROLE %s;" % case.reader)
    for ddl in case.ddl:
        lines += [d + ";" for d in ddl]
    lines += [statement_script(s) for s in case.initial]
    lines += [f + ";" for f in case.functions]
    lines += [g + ";" for g in grants(case, "public")]
    if case.reader:
        lines.append("SET ROLE %s;" % case.reader)
    if case.memory:
        lines.append("SET work_mem = '%s';" % case.memory)
    lines += [create_view(v, mode) + ";" for v in case.views]
    if case.reader:
        lines.append("RESET ROLE;")
    lines += [statement_script(s) for s in case.statements]
    if mode == "deferred":
        lines.append("SELECT tailwater.sync();")
    if failure.view:
        if case.reader:
            lines.append("SET ROLE %s;" % case.reader)
        lines += ["", "-- must be empty", comparison(failure.view, failure.columns)]
    return "\n".join(lines) + "\n"
