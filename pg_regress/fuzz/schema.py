"""schema - random tables, values and triggers.

A type is `safe` if two values that are equal are also identical in image:
only then may a query group, order or deduplicate by it and still have one right
answer. numeric without a scale (1.0 = 1.00), citext, interval and others are
not; they are joined, counted and grouped by, but the value of a group is not shown.
"""
from tree import Many

LONG = "x" * 40 + "long" * 900      # is compressed
NASTY = ["", " ", "a", "A", "b", "it's", "ä", "two\nlines", "\\N", "\\", "NULL", "%_", "{\"x\":1}", "tab\there", LONG]
TYPES = {
    "int": [str(i) for i in range(-2, 9)] + ["100000"],
    "bigint": [str(i) for i in range(-1, 6)] + ["5000000000"],
    "num2": ["0.00", "1.00", "1.50", "-2.25", "10.00", "99.99"],
    "num": ["0", "0.0", "1", "1.0", "1.00", "-2.5", "3.14159", "1e10", "NaN"],
    "text": NASTY,
    "bool": ["true", "false"],
    "date": ["2024-01-01", "2024-02-29", "1999-12-31", "infinity"],
    "timestamptz": ["2024-01-01 10:00:00+00", "2024-01-01 10:00:00.000001+00", "2023-06-30 23:59:59+02"],
    "json": ['{"a": 1}', '{"a":1}', "[1, 2]", "null", '{"a":1,"a":2}'],
    "jsonb": ['{"a": 1}', '{"a": 1.0}', "[]", '[1, "x"]', "null", '{"b": {"c": null}}'],
    "uuid": ["00000000-0000-0000-0000-00000000000%d" % i for i in range(4)],
    "float8": ["0", "0.25", "-1.5", "1024", "3.75", "Infinity", "NaN"],
    # sums of these lose digits in one order and not in another; squares do not overflow
    "drift": ["0.1", "0.2", "0.3", "-0.7", "1e16", "-1e16", "1e150", "-1e150", "1e-150", "-0", "0", "Infinity", "NaN"],
    "float4": ["0.1", "0.25", "-7.3", "1e8", "-1e8", "1e30", "0", "-Infinity"],
    "span": ["1 day", "24:00", "-3 hours", "1 mon", "30 days", "0.000001"],
    "small": ["0", "1", "-1", "7", "300"],
    "citext": ["Foo", "foo", "FOO", "bar", ""],
    "folded": ["Foo", "foo", "bar", "BAR", ""],
    "char5": ["a", "a  ", "b", "", "abcde"],
    "intarr": ["{}", "{1,2}", "[0:1]={1,2}", "{{1,2},{3,NULL}}", "{NULL}"],
    "numarr": ["{1.0}", "{1.00}", "{}", "{NaN,NULL}"],
    "pair": ["(1,1.0)", "(1,1.00)", "(,)", "(2,)"],
    "mood": ["sad", "ok", "happy"],
    "bounded": ["1", "2", "3"],
    "int4range": ["[1,2)", "[1,1]", "empty", "(,)", "[3,9)"],
    "nummultirange": ["{[1,2),[5,6)}", "{[1.0,2),[5,6)}", "{}"],
    "bytea": ["\\x00", "\\x", "\\x0001"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1"],
    "timetz": ["10:00+00", "11:00+01"],
    "money": ["1.50", "-3", "0"],
    "varbit": ["0001", "1", ""],
    "tsvector": ["a b", "a:1 b:2", "a"],
    "xml": ["<a/>", "<a></a>"],
    "point": ["(1,1)", "(0,-0)", "(0,0)"],
}
# half of all columns are of a type that every query can do something with
FREQUENT = ["int", "bigint", "num2", "num", "text", "bool", "date", "timestamptz", "json", "jsonb", "uuid", "float8", "drift"]
SQL_NAME = {"num2": "numeric(10,2)", "num": "numeric", "bool": "boolean", "drift": "float8", "span": "interval",
            "small": "smallint", "folded": "text COLLATE folded", "char5": "char(5)", "intarr": "int[]", "numarr": "numeric[]"}
SAFE = {"int", "bigint", "num2", "text", "bool", "date", "timestamptz", "uuid", "float8", "small", "char5", "intarr", "mood",
        "bounded", "int4range", "bytea", "inet", "timetz", "money", "varbit", "tsvector"}
LARGE = 900         # ids of tables of which statements change many rows
NO_EQUALITY = {"json", "xml", "point"}
TYPE_DDL = ["CREATE TYPE pair AS (a int, b numeric)", "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
            "CREATE DOMAIN bounded AS int CHECK (value < 100)",
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"]


def sql_type(name):
    return SQL_NAME.get(name, name)


def literal(value):
    if value is None:
        return "NULL"
    if "\\" in value or "\n" in value or "\t" in value:
        return "E'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\t", "\\t") + "'"
    if value is LONG:
        return "repeat('x', 40) || repeat('long', 900)"
    return "'" + value.replace("'", "''") + "'"


def typed_literal(rng, type_):
    return "%s::%s" % (literal(rng.choice([v for v in TYPES[type_] if v is not LONG])), sql_type(type_))


class Column:
    def __init__(self, name, type_, notnull=False):
        self.name, self.type, self.notnull = name, type_, notnull
        self.safe = type_ in SAFE


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = []
        self.key = None             # name of the primary key column, an int
        self.parent = None          # (column, table) of a foreign key
        self.ddl = []
        self.extra = []             # columns that INSERT leaves out: generated, defaults
        self.late = []              # ALTER TABLE once there are rows
        self.below = []             # partitions, children: tables with the same columns
        self.only = False           # ONLY means something
        self.above = []             # updatable views
        self.writes = None          # a function that writes to the table
        self.detachable = False     # has partitions a (id < 15) and b
        self.policy = False         # row level security
        self.large = False          # statements change many rows of it

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def of_type(self, *types):
        return [c for c in self.columns if c.type in types]

    def value(self, rng, column):
        """A value for a column; None is null."""
        if column.name == "id":
            return str(rng.randint(1, LARGE if self.large else 40))
        if self.parent and column.name == self.parent[0]:
            return str(rng.randint(1, 12)) if rng.random() < 0.9 or column.notnull else None
        if not column.notnull and rng.random() < 0.15:
            return None
        return rng.choice(TYPES[column.type])

    def target(self, rng, insert=False):
        """A name under which a statement may write to the table."""
        if rng.random() < 0.75:
            return self.name
        return rng.choice([self.name] + self.below + self.above + (["ONLY " + self.name] if self.only and not insert else []))

    def row(self, rng):
        return [self.value(rng, c) for c in self.columns]

    def insert(self, rng, count, suffix=""):
        rows = ["(" + ", ".join(literal(v) for v in self.row(rng)) + ")" for _ in range(count)]
        return ["INSERT INTO %s VALUES " % self.target(rng, insert=True), Many(rows), suffix]


def make_table(rng, number, parents, options):
    table = Table("t%d" % number)
    columns = []
    if rng.random() < 0.75:
        table.key = "id"
        columns.append(Column("id", "int", True))
    columns.append(Column("k", "int", rng.random() < 0.3))
    if parents and rng.random() < 0.4:
        table.parent = ("p", rng.choice(parents))
        columns.append(Column("p", "int", rng.random() < 0.3))
    for i in range(rng.randint(1, 5)):
        columns.append(Column("c%d" % i, rng.choice(rng.choice([FREQUENT, list(TYPES)])), rng.random() < 0.2))
    rng.shuffle(columns)
    table.columns = columns

    parts = []
    for c in columns:
        part = "%s %s" % (c.name, sql_type(c.type))
        if table.parent and c.name == "p":
            part += " DEFAULT 1"
        if c.notnull and c.name != table.key:
            part += " NOT NULL"
        parts.append(part)
    dropped = rng.random() < 0.15
    if dropped:
        parts.insert(rng.randint(0, len(parts)), "gone text")
    add_extra_columns(rng, table, parts)
    if table.key:
        parts.append("PRIMARY KEY (id)" + (" DEFERRABLE INITIALLY DEFERRED" if rng.random() < 0.05 else ""))
    if table.parent:
        actions = ["ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE CASCADE", "ON DELETE SET DEFAULT ON UPDATE SET DEFAULT"]
        actions.append("" if table.column("p").notnull else "ON DELETE SET NULL ON UPDATE CASCADE")
        deferred = rng.choice(["", "", "", " DEFERRABLE INITIALLY DEFERRED"])
        parts.append("FOREIGN KEY (p) REFERENCES %s (id) %s%s" % (table.parent[1].name, rng.choice(actions), deferred))
    partition = table.key and not table.parent and rng.random() < options.partitioned
    unlogged = "UNLOGGED " if not table.key and not table.parent and rng.random() < 0.1 else ""
    if options.mode == "deferred":
        unlogged = ""       # its changes are not in the log: such a view is refused
    table.ddl.append("CREATE %sTABLE %s (%s)%s" % (unlogged, table.name, ", ".join(parts),
                                                   " PARTITION BY RANGE (id)" if partition else ""))
    if dropped:
        table.ddl.append("ALTER TABLE %s DROP COLUMN gone" % table.name)
    table.detachable = bool(partition)
    if partition:
        add_partitions(rng, table)
    elif not table.key and not table.parent and rng.random() < options.partitioned:
        table.below = [table.name + "_c"]
        table.only = True
        table.ddl.append("CREATE TABLE %s_c (own int) INHERITS (%s)" % (table.name, table.name))
    if rng.random() < 0.3:
        table.ddl.append("CREATE INDEX ON %s (k)" % table.name)
    if rng.random() < 0.1:
        table.above = ["u_" + table.name]
        table.ddl.append("CREATE VIEW u_%s AS SELECT %s FROM %s WHERE k < 7 WITH CHECK OPTION"
                         % (table.name, ", ".join(c.name for c in columns), table.name))
    if rng.random() < 0.1:
        table.writes = "w_" + table.name
        table.ddl.append("CREATE FUNCTION w_%s(int) RETURNS int LANGUAGE plpgsql AS "
                         "$$ BEGIN UPDATE %s SET k = k + 1 WHERE k = $1 AND k < 8; RETURN $1; END $$" % (table.name, table.name))
    return table


def add_extra_columns(rng, table, parts):
    if rng.random() < 0.15:
        parts.append("g int GENERATED ALWAYS AS (k * 2) STORED")
        table.extra.append(Column("g", "int"))
    if rng.random() < 0.1:
        parts.append("n int GENERATED BY DEFAULT AS IDENTITY")
        table.extra.append(Column("n", "int", True))
    if rng.random() < 0.15:
        # rows that are there by then do not store it
        table.late.append("ALTER TABLE %s ADD COLUMN late text DEFAULT 'late'" % table.name)
        table.extra.append(Column("late", "text"))


def add_partitions(rng, table):
    """Two levels, sometimes with a default partition."""
    name = table.name
    table.ddl.append("CREATE TABLE %s_a PARTITION OF %s FOR VALUES FROM (MINVALUE) TO (15) PARTITION BY RANGE (id)" % (name, name))
    for part, parent, bounds in (("a1", "_a", "FOR VALUES FROM (MINVALUE) TO (7)"), ("a2", "_a", "DEFAULT"),
                                 ("b", "", "FOR VALUES FROM (15) TO (30)"),
                                 ("d", "", rng.choice(["DEFAULT", "FOR VALUES FROM (30) TO (MAXVALUE)"]))):
        table.ddl.append("CREATE TABLE %s_%s PARTITION OF %s%s %s" % (name, part, name, parent, bounds))
    table.below = [name + "_" + part for part in ("a", "a1", "b", "d")]


def make_trigger(rng, table, target):
    """A trigger on a table that writes to another, or changes what is written."""
    name = "f_%s" % table.name
    column = rng.choice([c for c in target.columns if c.name != "id"])
    values = {"target": target.name, "column": column.name, "value": literal(rng.choice(TYPES[column.type])), "name": name,
              "table": table.name}
    before = ("BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW",
              ["new.k = coalesce(new.k, 0) + 1; RETURN new;", "IF new.k = 3 THEN RETURN NULL; END IF; RETURN new;",
               "DELETE FROM {target} WHERE k = 6; RETURN new;"])
    after = ("AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW",
             ["UPDATE {target} SET {column} = {value} WHERE k = coalesce(new.k, old.k); RETURN NULL;",
              "DELETE FROM {target} WHERE k = 100000 + coalesce(new.k, old.k, 0); RETURN NULL;",
              "IF TG_OP = 'UPDATE' THEN UPDATE {target} SET k = k + 1 WHERE k = old.k AND k < 8; END IF; RETURN NULL;",
              "IF pg_trigger_depth() < 2 THEN UPDATE {table} SET k = 5 WHERE k = 4; END IF; RETURN NULL;"])
    statement = ("AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT",
                 ["UPDATE {target} SET {column} = {value} WHERE k IN (SELECT k FROM fresh); RETURN NULL;"])
    every = ("BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT",
             ["UPDATE {target} SET {column} = {value} WHERE k = 2; RETURN NULL;"])
    event, bodies = rng.choice([after, after, before, statement, every])
    body = rng.choice(bodies)
    return ["CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ".format(**values) + body.format(**values) + " END $$",
            ("CREATE TRIGGER tr " + event + " EXECUTE FUNCTION {name}()").format(**values)]


def make_rule(rng, table, target):
    return ["CREATE RULE also AS ON %s TO %s DO ALSO UPDATE %s SET k = k + 1 WHERE k = old.k AND k < 8"
            % (rng.choice(["DELETE", "UPDATE"]), table.name, target.name)]


def bulk_value(rng, table, column):
    """An expression over i for the rows of INSERT ... SELECT ... FROM generate_series(...) AS i."""
    if column.name == "id":
        return "i"
    if table.parent and column.name == table.parent[0]:
        return "(SELECT min(id) FROM %s)" % table.parent[1].name
    if column.name == "k" or (column.type in ("int", "bigint", "num2") and rng.random() < 0.7):
        return "i * %d %% %d" % (rng.choice([1, 7, 31]), rng.choice([9, 60, 400, 400]))
    values = [literal(table.value(rng, column)) for _ in range(rng.randint(1, 4))]
    cases = " ".join("WHEN %d THEN %s::%s" % (n, v, sql_type(column.type)) for n, v in enumerate(values))
    return "CASE i %% %d %s END" % (len(values), cases)


def make_large(tables):
    """A key may have so many values, and statements so many rows."""
    for table in tables:
        table.large = True


READER = "fuzz_reader"      # owner of all views of a case with row level security


def make_policies(rng, tables):
    """Rows that the owner of the views does not see; writers see all. Some tables are the owner's own."""
    for i, table in enumerate(tables):
        if rng.random() < 0.3:
            continue
        table.policy = True
        conditions = ["k < 5", "k IS NOT NULL", "k <> 3 OR k IS NULL"]
        conditions += ["EXISTS (SELECT FROM %s AS o WHERE o.k = %s.k)" % (o.name, table.name) for o in tables[:i]]
        conditions += ["id % 2 = 0"] if table.key else []
        table.ddl += ["ALTER TABLE %s ENABLE ROW LEVEL SECURITY" % table.name,
                      "CREATE POLICY p ON %s FOR SELECT USING (%s)" % (table.name, rng.choice(conditions))]
        if rng.random() < 0.4:
            table.ddl.append("CREATE POLICY q ON %s AS %s TO %s USING (%s)" % (
                table.name, rng.choice(["PERMISSIVE", "RESTRICTIVE"]), READER, rng.choice(conditions)))
        if rng.random() < 0.4:
            table.ddl += ["ALTER TABLE %s FORCE ROW LEVEL SECURITY" % table.name,
                          "ALTER TABLE %s OWNER TO %s" % (table.name, READER)]


def make_tables(rng, options):
    tables = []
    for number in range(rng.randint(2, 4)):
        parents = [t for t in tables if t.key and "PARTITION BY" not in t.ddl[0] and "(id) DEFERRABLE" not in t.ddl[0]]
        tables.append(make_table(rng, number, parents, options))
    if rng.random() < options.triggers:
        table, target = rng.sample(tables, 2)
        if table.parent is None and target.parent is None:
            table.ddl += make_trigger(rng, table, target)
        elif not table.key:
            tables[-1].ddl += make_rule(rng, table, target)     # by then both are there
    return tables
