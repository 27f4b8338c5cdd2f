"""shrink - makes a failing case small: fewer statements, views, rows, clauses; in bounded time."""
import copy
import time

from tree import moves


class Shrinker:
    def __init__(self, oracle, case, failure, seconds):
        self.oracle = oracle
        self.case = case
        self.failure = failure
        self.until = time.time() + seconds

    def late(self):
        return time.time() > self.until

    def still_fails(self):
        """Runs a copy (running may drop views from a case)."""
        candidate = copy.deepcopy(self.case)
        failure = self.oracle.outcome(candidate)
        if self.failure.same(failure):
            self.failure = failure
            return True
        return False

    def drop_from(self, container, least=0):
        """Removes as much of a list as possible, but the first `least`: halves first, then single elements."""
        size = max(1, len(container) // 2)
        changed = False
        while size >= 1 and not self.late():
            at = len(container) - size
            while at >= least and not self.late():
                removed = container[at:at + size]
                del container[at:at + size]
                if removed and self.still_fails():
                    changed = True
                else:
                    container[at:at] = removed
                at -= size
            size //= 2
        return changed

    def simplify(self, tree):
        changed = False
        for do, undo in moves(tree):
            if self.late():
                break
            do()
            if self.still_fails():
                changed = True
            else:
                undo()
        return changed

    def shrink(self):
        if self.failure.at is not None:
            kept = self.case.statements[self.failure.at + 1:]
            del self.case.statements[self.failure.at + 1:]
            if not self.still_fails():
                self.case.statements += kept
        changed = True
        while changed and not self.late():
            changed = self.drop_from(self.case.statements)
            changed |= self.drop_from(self.case.views)
            changed |= self.drop_from(self.case.initial)
            changed |= self.drop_from(self.case.functions)
            changed |= self.drop_from(self.case.ddl)
            for ddl in self.case.ddl:
                changed |= self.drop_from(ddl, 1)
            for view in self.case.views:
                changed |= self.simplify(view.tree)
            for statement in self.case.statements + self.case.initial:
                changed |= self.simplify(statement.tree)
                if statement.copy is not None:
                    changed |= self.simplify(statement.copy)
        return self.case, self.failure
