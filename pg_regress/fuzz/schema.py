"""schema - random tables, values and triggers.

A type is `safe` if two values that are equal are also identical in image:
only then may a query group, order or deduplicate by it and still have one right
answer. numeric without a scale (1.0 = 1.00), json (no equality) and jsonb are not.
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
}
SQL_NAME = {"num2": "numeric(10,2)", "num": "numeric", "bool": "boolean", "drift": "float8", "span": "interval",
            "small": "smallint"}
SAFE = {"int", "bigint", "num2", "text", "bool", "date", "timestamptz", "uuid", "float8", "small"}


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
        self.generated = []         # columns that nobody writes
        self.detachable = False     # has partitions a (id < 15) and b

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def of_type(self, *types):
        return [c for c in self.columns if c.type in types]

    def value(self, rng, column):
        """A value for a column; None is null."""
        if column.name == "id":
            return str(rng.randint(1, 40))
        if self.parent and column.name == self.parent[0]:
            return str(rng.randint(1, 12)) if rng.random() < 0.9 or column.notnull else None
        if not column.notnull and rng.random() < 0.15:
            return None
        return rng.choice(TYPES[column.type])

    def row(self, rng):
        return [self.value(rng, c) for c in self.columns]

    def insert(self, rng, count, suffix=""):
        rows = ["(" + ", ".join(literal(v) for v in self.row(rng)) + ")" for _ in range(count)]
        return ["INSERT INTO %s VALUES " % self.name, Many(rows), suffix]


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
        columns.append(Column("c%d" % i, rng.choice(list(TYPES)), rng.random() < 0.2))
    rng.shuffle(columns)
    table.columns = columns

    parts = []
    for c in columns:
        part = "%s %s" % (c.name, sql_type(c.type))
        if c.notnull and c.name != table.key:
            part += " NOT NULL"
        parts.append(part)
    if table.key:
        parts.append("PRIMARY KEY (id)")
    if table.parent:
        action = rng.choice(["ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE CASCADE",
                             "DEFERRABLE INITIALLY DEFERRED", "" if table.column("p").notnull else "ON DELETE SET NULL ON UPDATE CASCADE"])
        parts.append("FOREIGN KEY (p) REFERENCES %s (id) %s" % (table.parent[1].name, action))
    if rng.random() < 0.12:
        table.generated.append(Column("made", "int"))
        parts.append("made int GENERATED ALWAYS AS (k * 2 - 1) STORED")
    partition = table.key and not table.parent and rng.random() < options.partitioned
    table.ddl.append("CREATE TABLE %s (%s)%s" % (table.name, ", ".join(parts),
                                                 " PARTITION BY RANGE (id)" if partition else ""))
    table.detachable = bool(partition)
    if partition:
        for name, bounds in (("a", "FROM (MINVALUE) TO (15)"), ("b", "FROM (15) TO (MAXVALUE)")):
            table.ddl.append("CREATE TABLE %s_%s PARTITION OF %s FOR VALUES %s" % (table.name, name, table.name, bounds))
    if rng.random() < 0.12:
        # a dropped column in the middle
        last = table.columns[-1]
        if last.name.startswith("c") and not table.generated:
            table.ddl.append("ALTER TABLE %s DROP COLUMN %s" % (table.name, last.name))
            table.ddl.append("ALTER TABLE %s ADD COLUMN %s %s" % (table.name, last.name, sql_type(last.type)))
            last.notnull = False
    if rng.random() < 0.3:
        table.ddl.append("CREATE INDEX ON %s (k)" % table.name)
    return table


def make_child(parent):
    """A table that inherits from another; its rows are the parent's, too, whose key no longer tells them apart."""
    table = Table(parent.name + "_child")
    table.columns = [Column(c.name, c.type, c.notnull) for c in parent.columns]
    table.generated = list(parent.generated)
    table.ddl.append("CREATE TABLE %s () INHERITS (%s)" % (table.name, parent.name))
    return table


def make_trigger(rng, table, target):
    """An AFTER row trigger on a table that writes to another."""
    name = "f_%s" % table.name
    column = rng.choice([c for c in target.columns if c.name != "id"])
    value = literal(rng.choice(TYPES[column.type]))
    body = rng.choice([
        "UPDATE {target} SET {column} = {value} WHERE k = coalesce(new.k, old.k);",
        "DELETE FROM {target} WHERE k = 100000 + coalesce(new.k, old.k, 0);",
        "IF TG_OP = 'UPDATE' THEN UPDATE {target} SET k = k + 1 WHERE k = old.k AND k < 8; END IF;",
    ]).format(target=target.name, column=column.name, value=value)
    return ["CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s RETURN NULL; END $$" % (name, body),
            "CREATE TRIGGER tr AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %s()"
            % (table.name, name)]


def make_tables(rng, options):
    tables = []
    for number in range(rng.randint(2, 4)):
        parents = [t for t in tables if t.key and "PARTITION BY" not in t.ddl[0]]
        tables.append(make_table(rng, number, parents, options))
    if rng.random() < 0.1:
        parents = [t for t in tables if not t.parent and not t.detachable]
        if parents:
            tables.append(make_child(rng.choice(parents)))
    if rng.random() < options.triggers:
        table, target = rng.sample(tables, 2)
        if table.parent is None and target.parent is None:
            table.ddl += make_trigger(rng, table, target)
    return tables
