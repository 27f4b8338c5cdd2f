"""tree - SQL text that can be taken apart again.

The generator does not build strings but small trees, so that the shrinker can
drop clauses of a failing case without parsing SQL:

  str     text as it is
  list    a sequence
  Opt     a part that may be left out
  Many    items with a separator, of which all but `least` may be left out
  Alt     several forms, the simplest last
  Exact   an aggregate over floats: the server's, or tailwater's exact one (render with exact=True)
"""


class Opt:
    def __init__(self, *child):
        self.child = list(child)
        self.on = True


class Many:
    def __init__(self, items, separator=", ", least=1, empty=""):
        self.items = list(items)
        self.separator = separator
        self.least = least
        self.empty = empty


class Alt:
    def __init__(self, *forms):
        self.forms = forms
        self.chosen = 0


class Exact:
    def __init__(self, name):
        self.name = name


def render(node, exact=False):
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        return "".join(render(n, exact) for n in node)
    if isinstance(node, Opt):
        return render(node.child, exact) if node.on else ""
    if isinstance(node, Many):
        return node.separator.join(render(i, exact) for i in node.items) if node.items else node.empty
    if isinstance(node, Exact):
        return "tailwater.exact_" + node.name if exact else node.name
    return render(node.forms[node.chosen], exact)


def moves(node):
    """Yields (do, undo) pairs: each makes the tree smaller in one place. Big steps come first."""
    if isinstance(node, list):
        for n in node:
            yield from moves(n)
    elif isinstance(node, Opt):
        if node.on:
            yield (lambda: setattr(node, "on", False)), (lambda: setattr(node, "on", True))
            if node.on:
                yield from moves(node.child)
    elif isinstance(node, Many):
        # a copy: the list shrinks while we walk
        for item in list(node.items):
            if len(node.items) > node.least and item in node.items:
                at = node.items.index(item)
                yield (lambda: node.items.remove(item)), (lambda: node.items.insert(at, item))
        for item in list(node.items):
            yield from moves(item)
    elif isinstance(node, Alt):
        while node.chosen + 1 < len(node.forms):
            was = node.chosen
            yield (lambda: setattr(node, "chosen", was + 1)), (lambda: setattr(node, "chosen", was))
            if node.chosen == was:
                break
        yield from moves(node.forms[node.chosen])
