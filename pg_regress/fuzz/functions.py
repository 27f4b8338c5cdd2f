"""functions - random SQL functions over the tables, for views to call.

Some read tables, some only compute; some are declared STABLE, STRICT or IMMUTABLE,
some not at all. A function that gives one value gives one whatever the plan: of a
key, of an aggregate, or the first in a total order.
"""
from query import Generator
from schema import SQL_NAME, sql_type
from tree import render

LABELS = ["", "", " STABLE", " STRICT", " STABLE STRICT"]


class Function:
    def __init__(self, name, type_, safe, ddl, columns=None, parameters=()):
        self.name, self.type, self.safe, self.ddl = name, type_, safe, ddl
        self.columns = columns          # of a function in FROM: [(name, type, safe)]; None: it gives one value
        self.parameters = parameters    # types


def returned(type_):
    return "text" if "COLLATE" in SQL_NAME.get(type_, "") else sql_type(type_)


def body_of(rng, text, old_style):
    """The end of CREATE FUNCTION: the body as a string, or analyzed when it is created."""
    if old_style or rng.random() < 0.6:
        return " AS $body$%s$body$" % text
    return " BEGIN ATOMIC %s; END" % text


def create(rng, name, parameters, result, text, label=None, old_style=False):
    return "CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE sql%s%s" % (
        name, parameters, result, rng.choice(LABELS) if label is None else label, body_of(rng, text, old_style))


def make_set(rng, name, relations):
    """A query as a function, with a parameter that a column of it is compared with, if there is one."""
    query = Generator(rng, relations, risky=0).query(0, but=("srf",))
    text = render(query.tree)
    if text != render(query.tree, exact=True):
        return None         # the views would have exact sums where the function has not
    columns = [(n, t, s) for n, t, s in query.columns]
    result = "TABLE (%s)" % ", ".join("%s %s" % (n, returned(t)) for n, t, _ in columns)
    numbers = [n for n, t, _ in columns if t == "int"]
    if numbers and rng.random() < 0.6:
        text = "SELECT * FROM (%s) AS q WHERE q.%s %s n" % (text, rng.choice(numbers), rng.choice(["=", "=", "<", "<>"]))
        return Function(name, None, False, create(rng, name, "n int", result, text), columns, ("int",))
    return Function(name, None, False, create(rng, name, "", result, text), columns)


def make_rows(rng, name, table):
    """The rows of a table whose column is what is given, as rows of its type."""
    numbers = [c.name for c in table.columns if c.type == "int"]
    form = rng.choice(["SELECT * FROM %s AS r WHERE r.%s = $1", "SELECT r FROM %s AS r WHERE r.%s = $1"])
    columns = [(c.name, c.type, c.safe) for c in table.columns + table.extra]
    return Function(name, None, False,
                    create(rng, name, "int", "SETOF " + table.name, form % (table.name, rng.choice(numbers)), old_style=True),
                    columns, ("int",))


def make_value(rng, name, tables, functions):
    """A function of an int that gives one value."""
    table = rng.choice(tables)
    column = rng.choice(table.columns)
    numbers = [c.name for c in table.columns if c.type == "int"]
    by = rng.choice(numbers)
    forms = [("bigint", "SELECT count(*) FROM %s AS r WHERE r.%s = $1" % (table.name, by)),
             ("bool", "SELECT EXISTS (SELECT FROM %s AS r WHERE r.%s = $1)" % (table.name, by)),
             ("int", "SELECT max(r.%s) FROM %s AS r WHERE r.%s < $1" % (rng.choice(numbers), table.name, by)),
             ("int", "SELECT $1 * 2 + 1"), ("text", "SELECT CASE WHEN $1 > 2 THEN 'more' ELSE $1::text END"),
             ("int", "SELECT coalesce($1, -5) WHERE $1 IS DISTINCT FROM 3")]
    # of a key there is one row; children of a table may have the same key
    if table.key and not table.below and not table.only:
        forms += 3 * [(column.type, "SELECT r.%s FROM %s AS r WHERE r.id = $1" % (column.name, table.name))]
        forms += [(column.type, "SELECT r.%s FROM %s AS r WHERE r.%s = $1 ORDER BY r.id DESC" % (column.name, table.name, by))]
    calls = [f for f in functions if f.columns is None and f.type == "int"]
    if calls:
        forms += 2 * [("int", "SELECT %s($1) + 1" % rng.choice(calls).name)]
    type_, text = rng.choice(forms)
    label = None
    if " FROM " not in text and "(" not in text and rng.random() < 0.5:
        label = " IMMUTABLE"
    safe = column.safe if type_ == column.type and "r." + column.name in text else True
    return Function(name, type_, safe, create(rng, name, "int", returned(type_), text, label), None, ("int",))


def make_functions(rng, tables, relations):
    functions = []
    for i in range(rng.randint(1, 5)):
        name = "f%d" % i
        kind = rng.random()
        if kind < 0.6:
            function = make_value(rng, name, tables, functions)
        elif kind < 0.75:
            function = make_rows(rng, name, rng.choice(tables))
        else:
            function = make_set(rng, name, relations)
        if function:
            functions.append(function)
    return functions
