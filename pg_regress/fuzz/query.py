"""query - random view definitions with exactly one right answer.

Whatever would depend on the order of rows is ordered by everything that is
read; whatever treats equal values as one reads only `safe` columns (schema.py).
Each q_* function makes one kind of query; WEIGHTS says how often.
"""
from schema import NO_EQUALITY, SAFE, TYPES, sql_type, typed_literal
from tree import Alt, Exact, Many, Opt

WEIGHTS = {"simple": 14, "outer": 8, "aggregate": 16, "grouping_sets": 3, "distinct": 5, "distinct_on": 3,
           "set_operation": 8, "window": 6, "top": 5, "exists": 9, "scalar": 6, "lateral": 4, "cte": 5,
           "ordered_aggregate": 6, "document": 4, "recursive": 2, "srf": 4, "distinct_groups": 2,
           "nested": 6, "top_groups": 5, "compared": 6, "twice": 4, "full": 2, "called": 0}
SUMMABLE = ("int", "bigint", "num2", "num", "small")
FLOATS = ("float8", "drift", "float4")
SPREADS = ("var_pop", "var_samp", "variance", "stddev_pop", "stddev_samp", "stddev")
PAIRS = ("corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept", "regr_r2", "regr_sxy", "regr_avgx")
EXTREMES = ("int", "bigint", "num2", "text", "date", "timestamptz", "float8", "char5", "mood", "inet", "money")
COMPARABLE = set(TYPES) - NO_EQUALITY


class Col:
    """A column in scope: how to refer to it, its type, whether equality is identity."""

    def __init__(self, ref, type_, safe=None):
        self.ref, self.type = ref, type_
        self.safe = type_ in SAFE if safe is None else safe


class Query:
    def __init__(self, tree, columns):
        self.tree, self.columns = tree, columns     # columns: [(name, type, safe)]


class Generator:
    def __init__(self, rng, relations, weights=None, risky=0.02, functions=()):
        self.rng = rng
        self.functions = functions      # functions.py; then some queries call them
        self.relations = relations      # [(name, [(column, type, safe)])]
        self.weights = dict(WEIGHTS, **(weights or {}))
        self.risky = risky              # probability of an expression that may raise
        self.aliases = 0

    # ---- small things ----

    def alias(self, prefix="s"):
        self.aliases += 1
        return "%s%d" % (prefix, self.aliases)

    def pick(self, scope, *types, safe=False):
        found = [c for c in scope if (not types or c.type in types) and (c.safe or not safe)]
        return self.rng.choice(found) if found else None

    def expression(self, scope):
        """An expression over the scope: (text, type, safe)."""
        rng = self.rng
        c = rng.choice(scope)
        other = self.pick(scope, c.type) or c
        values = [f for f in self.functions if f.columns is None]
        if values and c.type == "int" and rng.random() < 0.4:
            f = rng.choice(values)
            return rng.choice(["%s(%s)", "%s(%s)", "%s(%s + 1)", "%s((SELECT %s))"]) % (f.name, c.ref), f.type, f.safe
        if rng.random() < 0.6:
            return c.ref, c.type, c.safe
        if rng.random() < self.risky and c.type == "int":
            return "100 / nullif(%s, 100000)" % c.ref, "int", True
        if c.type in ("int", "bigint"):
            return rng.choice([("%s + 1" % c.ref, c.type, True), ("%s * 2 - 3" % c.ref, "bigint", True),
                               ("abs(%s) %% 3" % c.ref, c.type, True), ("%s::text || '!'" % c.ref, "text", True),
                               ("coalesce(%s, %s, -7)" % (c.ref, other.ref), c.type, True),
                               ("%s > %s" % (c.ref, other.ref), "bool", True)])[:3] if c.type == "int" else \
                ("coalesce(%s, -7)" % c.ref, c.type, True)
        if c.type == "num2":
            return rng.choice([("%s * 1.10" % c.ref, "num", False), ("round(%s)::int" % c.ref, "int", True)])
        if c.type == "text":
            return rng.choice([("upper(%s)" % c.ref, "text", True), ("length(%s)" % c.ref, "int", True),
                               ("%s || coalesce(%s, '-')" % (c.ref, other.ref), "text", True),
                               ("substr(%s, 1, 2)" % c.ref, "text", True), ("left(%s, 1) = 'a'" % c.ref, "bool", True)])
        if c.type in ("drift", "float4"):
            return rng.choice([("%s > 0" % c.ref, "bool", True), ("%s::float8" % c.ref, "drift", False)])
        if c.type == "bool":
            return rng.choice([("NOT %s" % c.ref, "bool", True),
                               ("CASE WHEN %s THEN 1 WHEN NOT %s THEN 0 END" % (c.ref, c.ref), "int", True)])
        if c.type == "timestamptz":
            return "%s AT TIME ZONE 'UTC' > '2024-01-01'" % c.ref, "bool", True
        if c.type == "jsonb":
            return rng.choice([("%s -> 'a'" % c.ref, "jsonb", False), ("%s ->> 'a'" % c.ref, "text", True)])
        if c.type == "json":
            return "%s ->> 'a'" % c.ref, "text", True
        return "%s IS NULL" % c.ref, "bool", True

    def condition(self, scope):
        rng = self.rng
        comparable = [c for c in scope if c.type not in NO_EQUALITY]
        c = rng.choice(comparable or scope)
        if c.type in NO_EQUALITY or rng.random() < 0.15:
            return "%s IS %sNULL" % (c.ref, rng.choice(["", "NOT "]))
        if c.type == "bool" and rng.random() < 0.5:
            return rng.choice(["%s", "NOT %s", "%s IS NOT TRUE"]) % c.ref
        if c.type == "text" and rng.random() < 0.3:
            return "%s LIKE '%%a%%'" % c.ref
        if c.type not in TYPES:
            return "%s IS NOT NULL" % c.ref
        other = self.pick([o for o in comparable if o is not c], c.type)
        right = other.ref if other and rng.random() < 0.3 else typed_literal(rng, c.type)
        text = "%s %s %s" % (c.ref, rng.choice(["=", "<>", "<", ">=", "IS DISTINCT FROM"]), right)
        if rng.random() < 0.15:
            text = "(%s OR %s)" % (text, self.condition(scope))
        return text

    def where(self, scope, probability=0.5, extra=()):
        conditions = list(extra)
        while self.rng.random() < probability and len(conditions) < 3:
            conditions.append(self.condition(scope))
        return Opt(" WHERE ", Many(conditions, " AND ")) if conditions else ""

    def items(self, expressions):
        """Select list: [(text, type, safe)] -> (tree, columns)."""
        columns = [("x%d" % i, e[1], e[2]) for i, e in enumerate(expressions)]
        return Many(["%s AS x%d" % (e[0], i) if isinstance(e[0], str) else [e[0], " AS x%d" % i]
                     for i, e in enumerate(expressions)]), columns

    def some(self, scope, most=5, safe=False):
        """Expressions over the scope, at least one."""
        out = []
        for _ in range(self.rng.randint(1, most)):
            if safe:
                c = self.pick(scope, safe=True)
                out.append((c.ref, c.type, True))
            else:
                out.append(self.expression(scope))
        return out

    # ---- FROM ----

    def relation(self, depth):
        """(tree, alias, scope) of one FROM item."""
        alias = self.alias()
        if depth > 0 and self.rng.random() < 0.18:
            query = self.query(depth - 1)
            return ["(", query.tree, ") AS ", alias], alias, [Col(alias + "." + n, t, s) for n, t, s in query.columns]
        sets = [f for f in self.functions if f.columns is not None]
        if sets and self.rng.random() < 0.2:
            f = self.rng.choice(sets)
            name, columns = "%s(%s)" % (f.name, self.rng.choice(["1", "2", "3", "NULL"]) if f.parameters else ""), f.columns
        else:
            name, columns = self.rng.choice(self.relations)
        return [name, " AS ", alias], alias, [Col(alias + "." + n, t, s) for n, t, s in columns]

    def join_condition(self, left, right):
        pairs = [(a, b) for a in left for b in right if a.type == b.type and a.type in COMPARABLE
                 and a.type != "bool"]
        ints = [p for p in pairs if p[0].type == "int"]
        if not pairs:
            return None
        a, b = self.rng.choice(ints if ints and self.rng.random() < 0.8 else pairs)
        return "%s = %s" % (a.ref, b.ref)

    def source(self, depth, least=1, most=4, kinds=("JOIN",)):
        """A FROM clause: (tree, scope)."""
        rng = self.rng
        count = max(least, min(most, rng.choice([1, 1, 1, 2, 2, 2, 3, 3, 4])))
        tree, _, scope = self.relation(depth)
        parts = [tree]
        for _ in range(count - 1):
            right, _, columns = self.relation(depth)
            kind = rng.choice(kinds)
            on = self.join_condition(scope, columns)
            if on is None:
                continue
            extra = []
            if rng.random() < 0.2 and kind != "FULL JOIN":
                extra = [Opt(" AND ", self.condition(scope + columns))]
            parts.append(Alt([" %s " % kind, right, " ON ", on] + extra,
                             [" JOIN ", right, " ON ", on]))
            scope = scope + columns
        return [" FROM "] + parts, scope

    # ---- kinds of queries ----

    def q_simple(self, depth):
        tree, scope = self.source(depth)
        items, columns = self.items(self.some(scope, 6))
        return Query(["SELECT ", items, tree, self.where(scope)], columns)

    def q_outer(self, depth):
        tree, scope = self.source(depth, 2, 4, ("LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN"))
        items, columns = self.items(self.some(scope, 6))
        return Query(["SELECT ", items, tree, self.where(scope, 0.3)], columns)

    def aggregate(self, scope):
        """One aggregate that does not depend on order: (text, type, safe)."""
        rng = self.rng
        forms = [("count(*)", "bigint", True)]
        c = self.pick(scope, *SUMMABLE)
        if c:
            result = {"int": "bigint", "small": "bigint"}.get(c.type, "num")
            forms += 2 * [("sum(%s)" % c.ref, result, result in SAFE), ("avg(%s)" % c.ref, "num", False)]
            forms += [("%s(%s)" % (rng.choice(SPREADS), c.ref), "num", False)]
            if c.safe:
                forms.append(("%s(DISTINCT %s)" % (rng.choice(["sum", "avg"]), c.ref), "num", False))
        c = self.pick(scope, *FLOATS)
        if c:
            forms += 2 * [([Exact("sum"), "(%s)" % c.ref], "float4" if c.type == "float4" else "drift", False),
                          ([Exact("avg"), "(%s)" % c.ref], "drift", False)]
            forms += [([Exact(rng.choice(SPREADS)), "(%s)" % c.ref], "drift", False),
                      ("min(%s) + 0" % c.ref, "float4" if c.type == "float4" else "float8", True)]
            other = self.pick(scope, *FLOATS)
            forms += [([Exact(rng.choice(PAIRS)), "(%s, %s)" % (c.ref, other.ref)], "drift", False)]
        c = self.pick(scope, "span")
        if c:
            forms += [("sum(%s)" % c.ref, "span", False), ("avg(%s)" % c.ref, "span", False),
                      ("extract(epoch FROM max(%s))" % c.ref, "num", False)]
        c = self.pick(scope, "num")
        if c:
            forms += [("%s(%s)::float8" % (rng.choice(["min", "max"]), c.ref), "float8", True)]
        c = self.pick(scope, "int", "small")
        if c:
            forms += [("%s(%s)" % (rng.choice(["bit_and", "bit_or", "bit_xor"]), c.ref), c.type, True),
                      ("sum(60 / %s) FILTER (WHERE %s <> 0)" % (c.ref, c.ref), "bigint", True)]
        c = self.pick(scope, *EXTREMES)
        if c:
            forms += [("min(%s)" % c.ref, c.type, True), ("max(%s)" % c.ref, c.type, True)]
        c = self.pick(scope, "bool")
        if c:
            forms.append(("%s(%s)" % (rng.choice(["bool_and", "bool_or"]), c.ref), "bool", True))
        c = rng.choice(scope)
        forms.append(("count(%s)" % c.ref, "bigint", True))
        c = self.pick(scope, *COMPARABLE)
        if c:
            forms.append(("count(DISTINCT %s)" % c.ref, "bigint", True))
        text, type_, safe = rng.choice(forms)
        if rng.random() < 0.15 and not any(x in text for x in ("+ 0", "::", "extract", "FILTER")):
            return [text, Opt(" FILTER (WHERE ", self.condition(scope), ")")], type_, safe
        return text, type_, safe

    def ordered(self, scope):
        """One aggregate whose result depends on the order it states."""
        c = self.pick(scope, safe=True)
        if c is None:
            return self.aggregate(scope)
        way = self.rng.choice(["", " DESC", " NULLS FIRST"])
        if c.type == "text" and self.rng.random() < 0.5:
            return "string_agg(%s, ',' ORDER BY %s%s)" % (c.ref, c.ref, way), "text", True
        form = self.rng.choice(["array_agg(%s ORDER BY %s%s)::text", "jsonb_agg(%s ORDER BY %s%s)::text"])
        if c.type == "intarr":      # of one shape only
            form = "string_agg(%s::text, ';' ORDER BY %s%s)"
        if c.type == "float8":      # no Infinity in JSON
            form = "array_agg(%s ORDER BY %s%s)::text"
        return form % (c.ref, c.ref, way), "text", True

    def grouped(self, depth, aggregates, kinds=("JOIN", "JOIN", "JOIN", "LEFT JOIN")):
        rng = self.rng
        if rng.random() < 0.25:
            kinds = ("LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "JOIN")
        tree, scope = self.source(depth, kinds=kinds)
        keys = [e for e in (self.expression(scope) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))) if e[2]]
        if rng.random() < 0.08:
            keys.append((["length(", self.one_value(scope, 0)[0], "::text)"], "int", True))
        chosen = [aggregates(scope) for _ in range(rng.randint(1, 4))]
        loose = self.pick([c for c in scope if not c.safe], *COMPARABLE)
        if loose and rng.random() < 0.3:
            # which of several equal values stands for the group is anybody's choice
            return self.loosely_grouped(tree, scope, loose, chosen)
        items, columns = self.items(keys + chosen)
        having = ""
        if rng.random() < 0.2:
            having = Opt(" HAVING ", rng.choice(["count(*) > 1", "count(*) < 4", "bool_or(%s)" % self.condition(scope)]))
        group = [" GROUP BY ", Many([k[0] for k in keys])] if keys else ""
        if keys and rng.random() < 0.1:
            items.items = items.items[len(keys):]       # a view that does not show its keys
            columns = columns[len(keys):]
        tests = []
        if rng.random() < 0.2:
            inner_tree, _, where = self.subselect(scope, 0)
            tests = [[rng.choice(["", "NOT "]), "EXISTS (SELECT 1", inner_tree, where, ")"]]
        return Query(["SELECT ", items, tree, self.where(scope, 0.3, tests), group, having], columns)

    def loosely_grouped(self, tree, scope, key, chosen):
        least = ('min(%s::text COLLATE "C")' % key.ref, "text", True)
        items, columns = self.items([least] + chosen)
        return Query(["SELECT ", items, tree, self.where(scope, 0.3), " GROUP BY ", key.ref], columns)

    def q_aggregate(self, depth):
        return self.grouped(depth, self.aggregate)

    def q_ordered_aggregate(self, depth):
        return self.grouped(depth, lambda scope: self.ordered(scope) if self.rng.random() < 0.7
                            else self.aggregate(scope))

    def q_grouping_sets(self, depth):
        tree, scope = self.source(depth, most=2)
        keys = list({c.ref: c for c in (self.pick(scope, safe=True) for _ in range(2)) if c}.values())
        if len(keys) < 2:
            return self.q_aggregate(depth)
        a, b = keys[0].ref, keys[1].ref
        sets = self.rng.choice(["ROLLUP (%s, %s)" % (a, b), "CUBE (%s, %s)" % (a, b),
                                "GROUPING SETS ((%s, %s), (%s), ())" % (a, b, b)])
        items, columns = self.items([(a, keys[0].type, True), (b, keys[1].type, True),
                                     ("grouping(%s, %s)" % (a, b), "int", True), self.aggregate(scope)])
        return Query(["SELECT ", items, tree, self.where(scope, 0.3), " GROUP BY ", sets], columns)

    def q_distinct(self, depth):
        tree, scope = self.source(depth)
        if not self.pick(scope, safe=True):
            return self.q_simple(depth)
        items, columns = self.items(self.some(scope, 3, safe=True))
        return Query(["SELECT ", Opt("DISTINCT "), items, tree, self.where(scope)], columns)

    def q_distinct_on(self, depth):
        tree, scope = self.source(depth, most=2)
        if not self.pick(scope, safe=True):
            return self.q_simple(depth)
        chosen = self.some(scope, 4, safe=True)
        items, columns = self.items(chosen)
        order = ", ".join(str(i + 1) + (self.rng.choice(["", " DESC"]) if i else "") for i in range(len(chosen)))
        # its columns are named by position: none of them may be dropped on its own
        items.least = len(items.items)
        return Query(["SELECT DISTINCT ON (1) ", items, tree, self.where(scope), " ORDER BY ", order], columns)

    def q_set_operation(self, depth):
        rng = self.rng
        operators = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"]
        left, scope = self.source(depth, most=2)
        chosen = [c for c in (self.pick(scope, safe=True) for _ in range(rng.randint(1, 3))) if c]
        if not chosen:
            return self.q_simple(depth)
        items, columns = self.items([(c.ref, c.type, True) for c in chosen])
        items.least = len(items.items)
        tree = ["SELECT ", items, left, self.where(scope)]
        for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
            source, scope = self.source(depth if depth == 0 else depth - 1, most=2)
            refs = [(self.pick(scope, c.type, safe=True) or Col("NULL::%s" % sql_type(c.type), c.type)).ref
                    for c in chosen]
            arm = ["SELECT ", rng.choice(["", "", "", "DISTINCT "]), ", ".join(refs), source, self.where(scope)]
            form = rng.choice(["%s", "%s", "(%s)"]).split("%s")
            if rng.random() < 0.3:      # the new arm first
                tree = ["(", arm, ") ", rng.choice(operators), " (", tree, ")"]
                columns = [("x%d" % i, c.type, True) for i, c in enumerate(chosen)]
                tree[1][2] = ", ".join("%s AS x%d" % (r, i) for i, r in enumerate(refs))
            else:
                tree = [form[0], tree, form[1], Opt(" %s " % rng.choice(operators), form[0], arm, form[1])]
        return Query(tree, columns)

    def q_window(self, depth):
        rng = self.rng
        tree, scope = self.source(depth, most=2)
        safe = [c for c in scope if c.safe]
        if not safe:
            return self.q_simple(depth)
        order = ", ".join(c.ref + rng.choice(["", " DESC"]) for c in rng.sample(safe, len(safe)))
        over = "OVER (%sORDER BY %s)" % (rng.choice(["", "PARTITION BY %s " % rng.choice(safe).ref]), order)
        c = rng.choice(safe)
        n = self.pick(safe, "int")
        functions = [("row_number() " + over, "bigint", True), ("lag(%s) %s" % (c.ref, over), c.type, True),
                     ("first_value(%s) %s" % (c.ref, over), c.type, True), ("count(*) " + over, "bigint", True)]
        if n:
            partition = "OVER (PARTITION BY %s)" % self.pick(scope, *COMPARABLE).ref
            functions += [("sum(%s) %s" % (n.ref, partition), "bigint", True),
                          ("rank() OVER (ORDER BY %s)" % n.ref, "bigint", True)]
        f = self.pick(scope, *FLOATS)
        if f:
            functions += [([Exact(rng.choice(["sum", "avg"])), "(%s) OVER (PARTITION BY %s)"
                            % (f.ref, rng.choice(safe).ref)], "drift", False)]
        chosen = self.some(scope, 3, safe=True) + rng.sample(functions, rng.randint(1, 2))
        items, columns = self.items(chosen)
        return Query(["SELECT ", items, tree, self.where(scope, 0.3)], columns)

    def q_top(self, depth):
        rng = self.rng
        tree, scope = self.source(depth, most=2)
        if not self.pick(scope, safe=True):
            return self.q_simple(depth)
        chosen = self.some(scope, 4, safe=True)
        items, columns = self.items(chosen)
        items.least = len(items.items)
        positions = list(range(1, len(chosen) + 1))
        rng.shuffle(positions)
        order = ", ".join("%d%s" % (p, rng.choice(["", " DESC", " NULLS FIRST"])) for p in positions)
        return Query(["SELECT ", items, tree, self.where(scope, 0.3),
                      Opt(" ORDER BY ", order, " LIMIT %d" % rng.randint(1, 6), Opt(rng.choice(["", " OFFSET 2"])))],
                     columns)

    def subselect(self, scope, depth):
        """The inside of a correlated subquery: its FROM, its scope, and a WHERE that refers to the outer scope."""
        tree, inner = self.source(depth, most=2)
        on = self.join_condition(inner, scope)
        conditions = [on] if on and self.rng.random() < 0.85 else []
        return tree, inner, self.where(inner, 0.25, conditions)

    def q_exists(self, depth):
        rng = self.rng
        tree, scope = self.source(depth, most=3)
        items, columns = self.items(self.some(scope, 5))
        tests = []
        for _ in range(rng.choice([1, 1, 2])):
            inner_tree, inner, where = self.subselect(scope, 0)
            a = self.pick(scope, *COMPARABLE)
            b = a and self.pick(inner, a.type)
            if b and rng.random() < 0.5:
                tests.append([a.ref, rng.choice([" IN ", " NOT IN "]), "(SELECT ", b.ref, inner_tree,
                              where if rng.random() < 0.5 else "", ")"])
            else:
                tests.append([rng.choice(["", "NOT "]), "EXISTS (SELECT 1", inner_tree, where, ")"])
        test = Many(tests, rng.choice([" AND ", " AND ", " OR "]))
        if rng.random() < 0.15:
            items.items.append(["(", tests[0], ") AS found"])
            columns = columns + [("found", "bool", True)]
        return Query(["SELECT ", items, tree, self.where(scope, 0.2, [["(", test, ")"]])], columns)

    def q_scalar(self, depth):
        rng = self.rng
        tree, scope = self.source(depth, most=2)
        chosen = self.some(scope, 4)
        for _ in range(rng.choice([1, 1, 2])):
            inner_tree, inner, where = self.subselect(scope, 0)
            if rng.random() < self.risky:
                c = rng.choice(inner)
                chosen.append((["(SELECT ", c.ref, inner_tree, where, ")"], c.type, c.safe))
            else:
                text, type_, safe = self.ordered(inner) if rng.random() < 0.3 else self.aggregate(inner)
                chosen.append((["(SELECT ", text, inner_tree, where, ")"], type_, safe))
        items, columns = self.items(chosen)
        return Query(["SELECT ", items, tree, self.where(scope, 0.3)], columns)

    def q_document(self, depth):
        """A nested document per outer row."""
        tree, _, scope = self.relation(0)
        inner_tree, inner, where = self.subselect(scope, 0)
        used = list({c.ref: c for c in inner if c.safe and c.type not in ("float8", "money")}.values())[:3]
        if not used:
            return self.q_simple(depth)
        fields = ", ".join("'f%d', %s" % (i, c.ref) for i, c in enumerate(used))
        document = ["(SELECT jsonb_agg(jsonb_build_object(", fields, ") ORDER BY ", ", ".join(c.ref for c in used), ")",
                    inner_tree, where, ")"]
        items, columns = self.items(self.some(scope, 2) + [(["coalesce(", document, ", '[]')"], "jsonb", False)])
        return Query(["SELECT ", items, " FROM ", tree, self.where(scope, 0.2)], columns)

    def q_lateral(self, depth):
        rng = self.rng
        tree, _, scope = self.relation(depth)
        inner_tree, inner, where = self.subselect(scope, 0)
        safe = [c for c in inner if c.safe]
        if not safe:
            return self.q_simple(depth)
        chosen = rng.sample(safe, min(len(safe), 3))
        names = ["y%d" % i for i in range(len(chosen))]
        alias = self.alias("l")
        select = ", ".join("%s AS %s" % (c.ref, n) for c, n in zip(chosen, names))
        order = ", ".join("%d%s" % (i + 1, rng.choice(["", " DESC"])) for i in range(len(chosen)))
        lateral = ["(SELECT ", select, inner_tree, where, Opt(" ORDER BY ", order, " LIMIT %d" % rng.randint(1, 3)),
                   ") AS ", alias]
        scope = scope + [Col(alias + "." + n, c.type, True) for c, n in zip(chosen, names)]
        items, columns = self.items(self.some(scope, 4) + [(alias + ".y0", chosen[0].type, True)])
        join = rng.choice([(" CROSS JOIN LATERAL ", ""), (" LEFT JOIN LATERAL ", " ON true")])
        return Query(["SELECT ", items, " FROM ", tree, join[0], lateral, join[1], self.where(scope, 0.2)], columns)

    def q_called(self, depth):
        """Functions in FROM and in the select list, called with columns of another relation."""
        rng = self.rng
        sets = [f for f in self.functions if f.columns is not None and f.parameters]
        tree, _, scope = self.relation(depth)
        n = self.pick(scope, "int")
        if not sets or not n:
            return self.q_simple(depth)
        f = rng.choice(sets)
        alias = self.alias("l")
        call = ["%s(%s) AS " % (f.name, n.ref), alias]
        inner = [Col(alias + "." + name, t, s) for name, t, s in f.columns]
        form = rng.choice(["list", "lateral", "lateral", "left", "exists"])
        if form == "list" and len(f.columns) == 1:
            items, columns = self.items(self.some(scope, 2) + [("%s(%s)" % (f.name, n.ref), f.columns[0][1], f.columns[0][2])])
            return Query(["SELECT ", items, " FROM ", tree, self.where(scope, 0.3)], columns)
        if form == "exists":
            items, columns = self.items(self.some(scope, 3))
            test = [rng.choice(["", "NOT "]), "EXISTS (SELECT FROM ", call, self.where(inner, 0.5), ")"]
            return Query(["SELECT ", items, " FROM ", tree, self.where(scope, 0.2, [test])], columns)
        items, columns = self.items(self.some(scope, 3) + self.some(inner, 3))
        join = rng.choice([(", LATERAL ", ""), (" CROSS JOIN ", "")]) if form != "left" else (" LEFT JOIN LATERAL ", " ON true")
        return Query(["SELECT ", items, " FROM ", tree, join[0], call, join[1], self.where(scope + inner, 0.2)], columns)

    def q_cte(self, depth):
        inner = self.query(0)
        name = self.alias("w")
        relations = self.relations
        self.relations = relations + [(name, inner.columns)] * (2 * len(relations))
        outer = self.query(0, but=("cte", "recursive", "twice"))
        self.relations = relations
        hint = self.rng.choice(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
        return Query(["WITH ", name, " AS ", Opt(hint), "(", inner.tree, ") ", outer.tree], outer.columns)

    def columns_of(self, query, alias):
        return [Col(alias + "." + n, t, s) for n, t, s in query.columns]

    def q_nested(self, depth):
        """Groups over a subquery that is itself grouped, distinct, a set operation, a window or a limit."""
        rng = self.rng
        kind = rng.choice(["aggregate", "aggregate", "aggregate", "grouping_sets", "distinct", "set_operation", "window",
                           "top", "distinct_on", "ordered_aggregate", "top_groups"])
        inner = getattr(self, "q_" + kind)(0)
        alias = self.alias("n")
        scope = self.columns_of(inner, alias)
        source = [" FROM (", inner.tree, ") AS ", alias]
        if rng.random() < 0.3:
            right, _, columns = self.relation(0)
            on = self.join_condition(scope, columns)
            if on:
                source += [rng.choice([" JOIN ", " JOIN ", " LEFT JOIN "]), right, " ON ", on]
                scope = scope + columns
        keys = [e for e in (self.expression(scope) for _ in range(rng.choice([0, 1, 1, 2]))) if e[2]]
        items, columns = self.items(keys + [self.aggregate(scope) for _ in range(rng.randint(1, 3))])
        group = [" GROUP BY ", Many([k[0] for k in keys])] if keys else ""
        return Query(["SELECT ", items, source, self.where(scope, 0.3), group], columns)

    def q_top_groups(self, depth):
        """The first of some groups, in an order that leaves no choice."""
        rng = self.rng
        inner = self.q_aggregate(0) if rng.random() < 0.8 else self.q_grouping_sets(0)
        alias = self.alias("n")
        safe = [c for c in self.columns_of(inner, alias) if c.safe]
        if not safe:
            return inner
        rng.shuffle(safe)
        items, columns = self.items([(c.ref, c.type, True) for c in safe])
        items.least = len(items.items)
        order = ", ".join(c.ref + rng.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]) for c in safe)
        if rng.random() < 0.2:
            by = "(SELECT count(*) %% %d FROM %s)" % (rng.randint(2, 5), rng.choice(self.relations)[0])
            limit = rng.choice([" LIMIT %s", " OFFSET %s", " LIMIT 3 OFFSET %s"]) % by
            return Query(["SELECT ", items, " FROM (", inner.tree, ") AS ", alias, " ORDER BY ", order, limit], columns)
        limit = rng.choice([" LIMIT %d", " LIMIT %d OFFSET 1", " FETCH FIRST %d ROWS WITH TIES"]) % rng.randint(1, 5)
        return Query(["SELECT ", items, " FROM (", inner.tree, ") AS ", alias, " ORDER BY ", order, limit], columns)

    def one_value(self, scope, depth):
        """A scalar subquery: (tree, type); connected with the scope or not."""
        rng = self.rng
        inner_tree, inner, where = self.subselect(scope, 0)
        if rng.random() < 0.4:
            where = self.where(inner, 0.3)
        c = self.pick(inner, "int", "bigint", "num2")
        if c and rng.random() < 0.7:
            value, type_ = rng.choice([("max(%s)", "int"), ("min(%s)", "int"), ("avg(%s)", "int"), ("sum(%s)", "int"),
                                       ("coalesce(max(%s), 2)", "int"), ("0.5 * sum(%s)", "int"), ("count(%s)", "int")])
            value = value % c.ref
        else:
            value, type_ = "count(*)", "int"
        return ["(SELECT ", value, inner_tree, where, ")"], type_

    def q_compared(self, depth):
        """Conditions that compare with scalar subqueries, in WHERE, in HAVING, under groups or not."""
        rng = self.rng
        tree, scope = self.source(depth, most=2)
        numbers = [c for c in scope if c.type in ("int", "bigint", "num2")]
        if not numbers:
            return self.q_simple(depth)
        operators = ["<", ">", "=", "<>", ">="]
        tests = []
        for _ in range(rng.choice([1, 1, 2])):
            value, _ = self.one_value(scope, 0)
            test = [rng.choice(numbers).ref, " ", rng.choice(operators), " ", value]
            tests.append(test if rng.random() < 0.85 else ["(", test, " OR ", self.condition(scope), ")"])
        if rng.random() < 0.4:
            inner_tree, inner, where = self.subselect(scope, 0)
            a = self.pick(scope, *SAFE)
            b = a and self.pick(inner, a.type, safe=True)
            if b:
                group = [" GROUP BY ", b.ref, " HAVING count(*) ", rng.choice(["< 3", "> 1"])]
                tests.append([a.ref, " IN (SELECT ", b.ref, inner_tree,
                              self.where(inner, 0.2) if rng.random() < 0.7 else where, group, ")"])
        where = self.where(scope, 0.2, tests)
        if rng.random() < 0.5:
            items, columns = self.items(self.some(scope, 4))
            return Query(["SELECT ", items, tree, where], columns)
        keys = [e for e in (self.expression(scope) for _ in range(rng.choice([0, 1, 1, 2]))) if e[2]]
        items, columns = self.items(keys + [self.aggregate(scope) for _ in range(rng.randint(1, 3))])
        having = ""
        if rng.random() < 0.4:
            inner_tree, inner = self.source(0, most=1)
            having = [" HAVING count(*) ", rng.choice(operators), " (SELECT count(*) / 3", inner_tree, ")"]
        return Query(["SELECT ", items, tree, where, [" GROUP BY ", Many([k[0] for k in keys])] if keys else "",
                      having], columns)

    def q_twice(self, depth):
        """WITH read twice: joined with itself, or compared with its own extreme."""
        rng = self.rng
        inner = rng.choice([self.q_aggregate, self.q_aggregate, self.q_distinct, self.q_top_groups])(0)
        name = self.alias("w")
        left, right = self.columns_of(inner, "l"), self.columns_of(inner, "r")
        on = self.join_condition(left, right)
        safe = [c for c in left if c.safe and c.type in EXTREMES]
        hint = rng.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "])
        head = ["WITH ", name, " AS ", hint, "(", inner.tree, ") "]
        if safe and rng.random() < 0.6:
            c = rng.choice(safe)
            items, columns = self.items(self.some(left, 3))
            return Query([head, "SELECT ", items, " FROM ", name, " AS l WHERE ", c.ref, rng.choice([" = ", " < "]),
                          "(SELECT ", rng.choice(["max", "min"]), "(", c.ref[2:], ") FROM ", name, ")"], columns)
        if not on:
            return inner
        items, columns = self.items(self.some(left + right, 4))
        return Query([head, "SELECT ", items, " FROM ", name, " AS l JOIN ", name, " AS r ON ", on], columns)

    def q_full(self, depth):
        tree, scope = self.source(0, 2, 3, ("FULL JOIN",))
        items, columns = self.items(self.some(scope, 4))
        return Query(["SELECT ", items, tree, self.where(scope, 0.2)], columns)

    def q_recursive(self, depth):
        """What is reached along the rows of a table: as a set, or up to a depth with all the ways there."""
        rng = self.rng
        tables = [(n, [c[0] for c in cs if c[1] == "int"]) for n, cs in self.relations]
        tables = [(n, cs) for n, cs in tables if len(cs) >= 2]
        if not tables:
            return self.q_simple(depth)
        t, columns = rng.choice(tables)
        a, b = rng.sample(columns, 2)
        r, s = self.alias("r"), self.alias()
        base = rng.choice(["SELECT {a}, {b}, 0 FROM {t}", "SELECT {a}, {a}, 0 FROM {t} WHERE {b} > 1",
                           "VALUES (1, 1, 0), (2, 2, 0)", "SELECT {a}, {b}, 0 FROM {t} UNION ALL SELECT {b}, {a}, 1 FROM {t}"])
        follow = rng.choice(["{s}.{a} = {r}.b", "{s}.{a} = {r}.b", "{s}.{b} = {r}.b"])
        shown = rng.choice(["{b}", "{b}", "{a}"])
        step, more = rng.choice([("{t} AS {s}", ""), ("{t} AS {s}", ""), ("{t} AS {s}", " AND {s}.{b} <> {s}.{a}"),
                                 ("{u} AS o JOIN {t} AS {s} ON o.{c} = {s}.{b}", "")])
        u, others = rng.choice(tables)
        union, bound, depth_of = rng.choice([("UNION", "", "0"), ("UNION", "", "0"),
                                             ("UNION", " AND {r}.d < 3", "{r}.d + 1"),
                                             ("UNION ALL", " AND {r}.d < 2", "{r}.d + 1")])
        select = rng.choice(["a AS x0, b AS x1, d AS x2", "a AS x0, b AS x1, d AS x2", "d AS x2, b AS x1, a AS x0"])
        names = dict(r=r, s=s, a=a, b=b, t=t, u=u, c=rng.choice(others))
        names["columns"] = "a, b, d"
        text = ("WITH RECURSIVE {r}({columns}) AS (" + base + " " + union + " SELECT {r}.a, {s}." + shown + ", " + depth_of +
                " FROM {r}, " + step + " WHERE " + follow + more + bound + ") SELECT " + select + " FROM {r}").format(**names)
        columns = [("x0", "int", True), ("x1", "int", True), ("x2", "int", True)]
        if rng.random() < 0.3:
            above = [" WHERE a < 4", " WHERE b IS NOT NULL AND d < 2", " JOIN %s AS above ON above.%s = b" % (t, a),
                     " LEFT JOIN %s AS above ON above.%s = a" % (u, rng.choice(others))]
            return Query([text, Opt(rng.choice(above).replace(" a ", " %s.a " % r))], columns)
        if rng.random() < 0.25:
            return Query(["SELECT x0, count(*) AS x1, max(x1) AS x2 FROM (", text, ") AS above GROUP BY x0"],
                         [("x0", "int", True), ("x1", "bigint", True), ("x2", "int", True)])
        return Query([text], columns)

    def q_srf(self, depth):
        """Functions that give rows; whether the rest of the list is computed where they give none depends on the plan."""
        risky, self.risky = self.risky, 0
        try:
            return self.sets(depth)
        finally:
            self.risky = risky

    def sets(self, depth):
        rng = self.rng
        tree, scope = self.source(depth, most=2)
        n = self.pick(scope, "int")
        if not n:
            return self.q_simple(depth)
        series = "generate_series(1, abs(%s) %% 4)" % n.ref
        where = self.where(scope)
        form = rng.choice(["list", "list", "from", "from", "lockstep", "group", "group", "over_groups", "order", "row"])
        if form == "group":
            key = [e for e in [self.expression(scope)] if e[2]]
            by = rng.choice([series, series + " + 1", "unnest(ARRAY[%s, 2, NULL])" % n.ref])
            chosen = [(by, "int", True)]
            items, columns = self.items(chosen + key + [self.aggregate(scope) for _ in range(rng.randint(1, 2))])
            items.least = len(items.items)
            return Query(["SELECT ", items, tree, where, " GROUP BY ", ", ".join(str(i + 1) for i in range(1 + len(key)))],
                         columns)
        if form == "over_groups":
            items, columns = self.items([(n.ref, "int", True), self.aggregate(scope),
                                         ("generate_series(1, count(*) % 3)", "bigint", True)])
            return Query(["SELECT ", items, tree, where, " GROUP BY ", n.ref], columns)
        chosen = self.some(scope, 3)
        if form == "order":
            items, columns = self.items(chosen)
            return Query(["SELECT ", items, tree, where, " ORDER BY ", series], columns)
        if form == "from":
            items, columns = self.items(chosen + [("g.i", "int", True)])
            return Query(["SELECT ", items, tree, " CROSS JOIN LATERAL ", series, " AS g(i)", where], columns)
        if form == "row":
            items, columns = self.items(chosen + [("g.r", "text", True)])
            return Query(["SELECT ", items, tree, " CROSS JOIN LATERAL (VALUES (%s::text)) AS g(r)" % n.ref.split(".")[0],
                          where], columns)
        sets = [(series, "int", True)]
        if form == "lockstep":
            sets.append((rng.choice(["unnest(ARRAY[%s, 7])", "abs(generate_series(-1, %s %% 3))"]) % n.ref, "int", True))
        items, columns = self.items(chosen + sets)
        return Query(["SELECT ", items, tree, where], columns)

    def q_distinct_groups(self, depth):
        """What the groups have in common, without the columns that tell them apart."""
        tree, scope = self.source(depth, most=2)
        keys = [e for e in (self.expression(scope) for _ in range(self.rng.randint(1, 2))) if e[2]]
        chosen = [a for a in (self.aggregate(scope) for _ in range(4)) if a[2]][:2] or [("count(*)", "bigint", True)]
        items, columns = self.items(chosen + [k for k in keys[:1] if self.rng.random() < 0.3])
        group = [" GROUP BY ", Many([k[0] for k in keys])] if keys else ""
        return Query(["SELECT ", Opt("DISTINCT "), items, tree, self.where(scope, 0.3), group], columns)

    def query(self, depth, but=()):
        kinds = [k for k in self.weights if k not in but and self.weights[k] > 0]
        kind = self.rng.choices(kinds, [self.weights[k] for k in kinds])[0]
        query = getattr(self, "q_" + kind)(depth)
        query.kind = kind
        return query
