"""Write changes into source: one, or a plan's one after another."""

from __future__ import annotations

import difflib
from dataclasses import replace

from evengrad.core.discover import catalogue
from evengrad.core.info import SourceLine
from evengrad.core.plan import Change, Plan
from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._facts import Facts
from evengrad.patches._tree import SourceTree


def patch(tree: SourceTree, change: Change, facts: Facts) -> SourceTree:
    """Write one change into source.

    Args:
        tree: The user's source, as it was when ``facts`` were taken.
        change: What is to be done.
        facts: What the run tells of names and lines.

    Returns:
        The source with the change; every file in it compiles.

    Raises:
        PatchError: The change cannot be written safely; the message says what to write by hand, and where.
    """
    item: AbstractPatch = catalogue("evengrad.patches")[change.act.value].PATCH
    changed = item.write(Job(tree, change, facts))
    if changed.files == tree.files:
        raise PatchError(f"`{change}` is in the source already, or there is no place for it; make the change by hand")
    return changed


def patch_plan(tree: SourceTree, plan: Plan, facts: Facts) -> SourceTree:
    """Write the changes of a plan into source, in order; lines in the trace are followed as earlier changes move them.

    Args:
        tree: The user's source, as it was when ``facts`` were taken.
        plan: What is to be done.
        facts: What the run tells of names and lines.

    Returns:
        The source with all changes.

    Raises:
        PatchError: One of them cannot be written safely.
    """
    current = tree
    for change in plan.changes:
        moved = _Moved(tree, current)
        current = patch(current, moved.change(change), moved.facts(facts))
    return current


class _Moved:
    """Where lines of one tree are in a later one."""

    def __init__(self, old: SourceTree, new: SourceTree) -> None:
        self._old = old
        self._lines = {path: _moves(old[path], new[path]) for path in old if old[path] != new[path]}

    def line(self, line: SourceLine | None) -> SourceLine | None:
        """Return a line where it is now; one that was rewritten is where its new text is."""
        path = self._old.find(line)
        if line is None or path is None or path not in self._lines:
            return line
        return replace(line, line=self._lines[path].get(line.line, line.line))

    def change(self, change: Change) -> Change:
        """Return a change with its lines where they are now."""
        return replace(change, lines=tuple(moved for line in change.lines if (moved := self.line(line)) is not None))

    def facts(self, facts: Facts) -> Facts:
        """Return facts with their lines where they are now."""
        return replace(
            facts,
            modules=tuple(
                replace(info, defined=self.line(info.defined), called=self.line(info.called)) for info in facts.modules
            ),
            layers=tuple(replace(site, source=self.line(site.source)) for site in facts.layers),
            activations=tuple(replace(site, source=self.line(site.source)) for site in facts.activations),
            optimizers=tuple(replace(info, source=self.line(info.source)) for info in facts.optimizers),
        )


def _moves(old: str, new: str) -> dict[int, int]:
    """Return the new number of each old line; both count from 1."""
    before, after = old.splitlines(), new.splitlines()
    moves: dict[int, int] = {}
    for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for i in range(i1, i2):
            # Of a block that was rewritten, each line is the most similar of the new ones, or at least in its order.
            candidates = range(j1, j2)
            if j2 - j1 == i2 - i1 or not candidates:
                moves[i + 1] = min(j1 + i - i1, max(j1, j2 - 1)) + 1
            else:
                moves[i + 1] = max(candidates, key=lambda j: _alike(before[i], after[j])) + 1
    return moves


def _alike(old: str, new: str) -> float:
    return difflib.SequenceMatcher(None, old, new, autojunk=False).ratio()
