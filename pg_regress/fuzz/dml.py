"""dml - random statements that change the tables, and transactions around them."""
from schema import LARGE, NO_EQUALITY, TYPES, bulk_value, literal, sql_type
from tree import Many, Opt, render


class Statement:
    """One statement: a tree of SQL, or the data of a COPY."""

    def __init__(self, tree, copy=None, steps=None):
        self.tree = tree
        self.copy = copy        # Many of lines
        self.steps = steps      # several statements that only make sense together; tree is the one that changes rows

    def texts(self, schema):
        return [render(s).replace("{schema}", schema) for s in self.steps or [self.tree]]


def copy_field(value):
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


class Writer:
    def __init__(self, rng, tables, transactions=0.25):
        self.rng = rng
        self.tables = tables
        self.transactions = transactions
        self.prepared = 0
        self.inside = False     # a transaction

    # ---- parts ----

    def condition(self, table, alias=""):
        rng = self.rng
        dot = alias + "." if alias else ""
        c = rng.choice(table.columns)
        if rng.random() < 0.5 and table.key:
            low = rng.randint(1, LARGE if table.large else 40)
            return "%sid BETWEEN %d AND %d" % (dot, low, low + rng.randint(0, LARGE if table.large else 12))
        if rng.random() < 0.4:
            return "%sk %s %d" % (dot, rng.choice(["=", "<", ">"]), rng.randint(-1, 100 if table.large else 8))
        if c.type in NO_EQUALITY or rng.random() < 0.2:
            return "%s%s IS %sNULL" % (dot, c.name, rng.choice(["", "NOT "]))
        return "%s%s %s %s::%s" % (dot, c.name, rng.choice(["=", "<>", ">"]), literal(rng.choice(TYPES[c.type])), sql_type(c.type))

    def where(self, table, probability=0.92, alias=""):
        if self.rng.random() > probability:
            return ""
        return Opt(" WHERE ", Many([self.condition(table, alias) for _ in range(self.rng.choice([1, 1, 2]))], " AND "))

    def assignment(self, table, column):
        rng = self.rng
        if column.name == "id":
            return "id = id + %d" % rng.choice([40, 100])
        if column.type in ("int", "bigint", "num2") and rng.random() < 0.4:
            return "%s = %s + %d" % (column.name, column.name, rng.choice([1, -1]))
        if rng.random() < 0.1:
            return "%s = %s" % (column.name, column.name)
        return "%s = %s" % (column.name, literal(table.value(rng, column)))

    def assignments(self, table):
        rng = self.rng
        columns = [c for c in table.columns if c.name != "id" or rng.random() < 0.15]
        chosen = rng.sample(columns, min(len(columns), rng.choice([1, 1, 2, 3])))
        return Many([self.assignment(table, c) for c in chosen])

    # ---- statements ----

    def insert(self, table):
        if table.key and self.rng.random() < 0.6:
            return Statement(table.insert(self.rng, self.rng.randint(1, 5), " ON CONFLICT DO NOTHING"))
        return Statement(table.insert(self.rng, self.rng.randint(1, 3)))

    def bulk(self, table):
        """Many rows in one statement."""
        rng = self.rng
        low = rng.randint(1, LARGE)
        values = ", ".join(bulk_value(rng, table, c) for c in table.columns)
        return Statement("INSERT INTO %s SELECT %s FROM generate_series(%d, %d) AS i ON CONFLICT DO NOTHING"
                         % (table.target(rng, insert=True), values, low, low + rng.choice([20, 70, 150, 500])))

    def upsert(self, table):
        if not table.key:
            return self.insert(table)
        columns = [c for c in table.columns if c.name != "id"]
        chosen = self.rng.sample(columns, self.rng.randint(1, len(columns)))
        return Statement([table.insert(self.rng, self.rng.randint(1, 3)), " ON CONFLICT (id) DO UPDATE SET ",
                          Many(["%s = excluded.%s" % (c.name, c.name) for c in chosen])])

    def select_for(self, table, other):
        """A select list that fits the columns of a table, from the rows of another called o."""
        out = []
        for c in table.columns:
            fits = [o for o in other.columns if o.type == c.type and (o.notnull or not c.notnull)]
            if c.name == "id":
                offset = self.rng.choice([0, 40, 80])
                out.append("o.id + %d" % offset if other.key else "row_number() OVER (ORDER BY o.k) + %d" % offset)
            elif fits and not (table.parent and c.name == table.parent[0]):
                out.append("o." + self.rng.choice(fits).name)
            else:
                out.append("%s::%s" % (literal(table.value(self.rng, c)), sql_type(c.type)))
        return ", ".join(out)

    def insert_select(self, table):
        other = self.rng.choice(self.tables)
        if table.key and not other.key:
            return self.insert(table)       # numbering rows would depend on their order
        limit = [" WHERE ", self.condition(other, "o")]
        return Statement(["INSERT INTO %s SELECT %s FROM %s AS o" % (table.name, self.select_for(table, other), other.name),
                          limit, " ON CONFLICT DO NOTHING"])

    def update(self, table):
        return Statement(["UPDATE %s SET " % table.target(self.rng), self.assignments(table), self.where(table)])

    def update_from(self, table):
        other = self.rng.choice(self.tables)
        return Statement(["UPDATE %s SET k = s.m FROM (SELECT k, max(k) + 1 AS m FROM %s WHERE k IS NOT NULL GROUP BY k) "
                          "AS s WHERE s.k = %s.k AND s.m < 9" % (table.name, other.name, table.name)])

    def delete(self, table):
        return Statement(["DELETE FROM %s" % table.target(self.rng), self.where(table)])

    def delete_using(self, table):
        other = self.rng.choice(self.tables)
        return Statement(["DELETE FROM %s AS d USING %s AS o WHERE d.k = o.k AND " % (table.name, other.name),
                          self.condition(other, "o")])

    def truncate(self, table):
        return Statement("TRUNCATE %s%s" % (table.name, " CASCADE" if self.rng.random() < 0.7 else ""))

    def merge(self, table):
        rng = self.rng
        other = rng.choice([t for t in self.tables if t.key] or [None])
        if not table.key or other is None:
            return self.update(table)
        matched = ["WHEN MATCHED AND %s THEN DELETE" % self.condition(table, "m"),
                   ["WHEN MATCHED THEN UPDATE SET ", rng.choice([self.assignments_but_key(table), "id = m.id + 20"])]]
        clauses = [c for c in matched if rng.random() < 0.6]
        clauses.append("WHEN NOT MATCHED THEN INSERT VALUES (%s)" % self.select_for(table, other))
        return Statement(["MERGE INTO %s AS m USING (SELECT * FROM %s WHERE " % (table.name, other.name),
                          self.condition(other), ") AS o ON m.id = o.id ", Many(clauses, " ")])

    def assignments_but_key(self, table):
        columns = [c for c in table.columns if c.name != "id"]
        return Many([("%s = %s" % (c.name, literal(table.value(self.rng, c))))
                     for c in self.rng.sample(columns, min(2, len(columns)))])

    def copy(self, table):
        lines = ["\t".join(copy_field(v) for v in table.row(self.rng)) for _ in range(self.rng.randint(1, 4))]
        return Statement("COPY %s (%s) FROM stdin" % (table.name, ", ".join(c.name for c in table.columns)), Many(lines, "\n"))

    def writable_cte(self, table):
        rng = self.rng
        other = rng.choice(self.tables)
        first = rng.choice([["DELETE FROM ", table.name, self.where(table, 1)],
                            ["UPDATE ", table.name, " SET k = k + 1", self.where(table, 1)]])
        if other is not table and rng.random() < 0.5:
            second = ["UPDATE ", other.name, " SET ", self.assignments_but_key(other), self.where(other, 1)]
            return Statement(["WITH w AS (", first, " RETURNING 1) ", second])
        if other is not table and not other.key:
            values = self.select_for(other, table)
            return Statement(["WITH o AS (", first, " RETURNING *) INSERT INTO ", other.name, " SELECT ", values, " FROM o"])
        return Statement(["WITH w AS (", first, " RETURNING k) SELECT count(*) FROM w"])

    def prepare(self, table):
        """PREPARE and EXECUTE it some times: several Statements."""
        self.prepared += 1
        name = "p%d" % self.prepared
        c = self.rng.choice([c for c in table.columns if c.type == "int" and c.name != "id"])
        out = [Statement("PREPARE %s(int) AS UPDATE %s SET %s = $1 WHERE k = $1 + 1" % (name, table.name, c.name))]
        return out + [Statement("EXECUTE %s(%d)" % (name, self.rng.randint(0, 8)))
                      for _ in range(self.rng.randint(1, 7))]

    def current_of(self, table):
        """An UPDATE or DELETE of a cursor's row."""
        if not table.key or table.detachable:
            return self.update(table)
        change = self.rng.choice([["DELETE FROM ", table.name],
                                  ["UPDATE ", table.name, " SET ", self.assignments_but_key(table)]])
        change.append(" WHERE CURRENT OF cur")
        return Statement(change, steps=["BEGIN", "DECLARE cur CURSOR FOR SELECT * FROM %s WHERE id = %d FOR UPDATE"
                                        % (table.name, self.rng.randint(1, 40)), "FETCH cur", change, "COMMIT"])

    def two_phases(self, table):
        """A change in a transaction that is prepared, and then decided."""
        change = self.rng.choice([self.update, self.delete, self.insert])(table)
        name = "'{schema}_%d'" % self.rng.randint(1, 10 ** 6)
        end = self.rng.choice(["COMMIT PREPARED ", "COMMIT PREPARED ", "ROLLBACK PREPARED "])
        return Statement(change.tree, steps=["BEGIN", change.tree, "PREPARE TRANSACTION " + name, end + name])

    def as_replica(self, table):
        """A change as replication makes it: without foreign keys and users' triggers."""
        change = self.rng.choice([self.update, self.delete, self.insert])(table)
        return Statement(change.tree, steps=["BEGIN", "SET LOCAL session_replication_role = replica", change.tree,
                                             "COMMIT"])

    def detached(self, table):
        """A partition leaves, is written, and comes back."""
        if not table.detachable:
            return self.update(table)
        low = "%s_a" % table.name
        change = ["UPDATE ", low, " SET ", self.assignments_but_key(table)]
        return Statement(change, steps=["BEGIN", "ALTER TABLE %s DETACH PARTITION %s" % (table.name, low), change,
                                        "ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (MINVALUE) TO (15)"
                                        % (table.name, low), "COMMIT"])
    def do_block(self, table):
        """Work that an exception undoes, and work after it."""
        rng = self.rng
        other = rng.choice(self.tables)
        undone = [render(self.plain(other).tree) for _ in range(rng.randint(1, 2))]
        return Statement(["DO $do$ BEGIN ", render(self.plain(table).tree), "; BEGIN ", "; ".join(undone),
                          rng.choice(["; PERFORM 1 / 0", ""]), "; EXCEPTION WHEN OTHERS THEN UPDATE ", table.name,
                          " SET k = 1 WHERE k = 2; END; END $do$"])

    def plain(self, table):
        return self.rng.choice([self.insert, self.update, self.delete, self.upsert])(table)

    def through_cursor(self, table):
        """Changes through a cursor, row by row: which rows does not depend on their order."""
        change = self.rng.choice(["DELETE FROM %s WHERE CURRENT OF c", "UPDATE %s SET k = k + 1 WHERE CURRENT OF c"])
        return Statement(["DO $do$ DECLARE c CURSOR FOR SELECT k FROM %s FOR UPDATE; BEGIN FOR r IN c LOOP IF r.k = %d THEN "
                          % (table.name, self.rng.randint(0, 7)), change % table.name, "; END IF; END LOOP; END $do$"])

    def call(self, table):
        if not table.writes:
            return self.update(table)
        other = self.rng.choice(self.tables)
        return Statement(["SELECT %s(o.k) FROM %s AS o WHERE " % (table.writes, other.name), self.condition(other, "o")])

    def swap(self, table):
        if not table.key:
            return self.update(table)
        return Statement(["UPDATE %s SET id = 41 - id" % table.name, self.where(table)])

    def refill(self, table):
        """TRUNCATE and INSERT in one transaction."""
        insert = table.insert(self.rng, 3, " ON CONFLICT DO NOTHING")
        return Statement(insert, steps=["BEGIN", "TRUNCATE %s CASCADE" % table.name, insert, "COMMIT"])

    def alter(self, table):
        """DDL that leaves alone what a view can read."""
        rng = self.rng
        changes = ["ALTER TABLE {t} ADD COLUMN unused text DEFAULT 'u'", "ALTER TABLE {t} DROP COLUMN unused",
                   "ALTER TABLE {t} ALTER COLUMN unused TYPE varchar", "ALTER TABLE {t} RENAME COLUMN unused TO spare",
                   "ALTER TABLE {t} RENAME COLUMN spare TO unused", "CREATE INDEX ON {t} (k)", "ALTER TABLE {t} ALTER k SET DEFAULT 4"]
        if table.below and not table.only:
            changes += 3 * ["ALTER TABLE {t} DETACH PARTITION {t}_b", "ALTER TABLE {t} ATTACH PARTITION {t}_b FOR VALUES FROM (15) TO (30)"]
        if table.only:
            changes += 3 * ["ALTER TABLE {t}_c NO INHERIT {t}", "ALTER TABLE {t}_c INHERIT {t}"]
        if table.policy:
            changes += ["ALTER TABLE {t} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
                        "ALTER POLICY p ON {t} USING (k > 1)", "CREATE POLICY r ON {t} USING (k = 6)", "DROP POLICY r ON {t}",
                        "DROP POLICY p ON {t}"]
        return Statement(rng.choice(changes).format(t=table.name))

    def one(self):
        kinds = {self.insert: 20, self.upsert: 10, self.insert_select: 6, self.update: 24, self.update_from: 4,
                 self.delete: 14, self.delete_using: 3, self.truncate: 2, self.merge: 6, self.copy: 5,
                 self.writable_cte: 6, self.prepare: 2, self.do_block: 3, self.through_cursor: 2, self.call: 3,
                 self.swap: 2, self.alter: 2}
        if any(t.large for t in self.tables):
            kinds.update({self.bulk: 40, self.update: 30})
        if not self.inside:
            kinds.update({self.current_of: 2, self.as_replica: 2, self.two_phases: 2, self.detached: 3, self.refill: 2})
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        made = kind(self.rng.choice(self.tables))
        return made if isinstance(made, list) else [made]

    def transaction(self):
        """BEGIN ... with savepoints; most commit."""
        rng = self.rng
        out = [Statement("BEGIN")]
        self.inside = True
        for i in range(rng.randint(1, 4)):
            saved = rng.random() < 0.4
            if saved:
                out.append(Statement("SAVEPOINT s%d" % i))
            out += self.one()
            if saved:
                out.append(Statement(rng.choice(["ROLLBACK TO s%d", "ROLLBACK TO s%d", "RELEASE s%d"]) % i))
        out.append(Statement(rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])))
        self.inside = False
        return out

    def statements(self, count):
        out = []
        while len(out) < count:
            out += self.transaction() if self.rng.random() < self.transactions else self.one()
        return out
