"""Move a statement to another place of the same function."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._edit import Edit, above_comments, after, before, remove
from evengrad.patches._source import Source

Small = cst.BaseSmallStatement


def move(source: Source, statement: Small, anchor: Small, *, behind: bool) -> Iterator[Edit]:
    """Yield the edits that take a statement away and put it before or behind another.

    Args:
        source: The file.
        statement: What is moved; an ``if`` around it that holds nothing else moves with it.
        anchor: Where it goes.
        behind: Behind the anchor rather than before it.

    Yields:
        The edits.

    Raises:
        PatchError: The statement is in a block of its own that the anchor is not beside.
    """
    whole = _whole_lines(source, statement, anchor)
    if whole is not None and _has_own_lines(source, anchor):
        first, last = above_comments(source, source.line(whole)), source.lines(whole)[-1]
        start, end = source.starts[first - 1], source.line_end(last)
        line = source.lines(anchor)[-1] + 1 if behind else above_comments(source, source.line(anchor))
        at = source.starts[line - 1] if line <= len(source.starts) else len(source.text)
        text = source.text[start:end]
        if not text.endswith(("\n", "\r")):
            text += source.newline
        yield Edit(start, end, "")
        yield Edit(at, at, text)
        return
    conditional = next((n for n in source.ancestors(statement) if isinstance(n, cst.BaseCompoundStatement)), None)
    if conditional is not None and isinstance(conditional, cst.If) and conditional not in source.ancestors(anchor):
        side = "behind" if behind else "before"
        raise PatchError(f"move line {source.line(statement)}, with its condition, {side} line {source.line(anchor)}")
    yield remove(source, statement)
    yield (after if behind else before)(source, anchor, [source.code(statement)])


def _has_own_lines(source: Source, statement: Small) -> bool:
    line = source.parents[statement]
    return isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1


def _whole_lines(source: Source, statement: Small, anchor: Small) -> cst.CSTNode | None:
    """Return the statement beside the anchor that is, or holds nothing but, the one to be moved; else None."""
    found: cst.CSTNode = source.parents[statement]
    if not _has_own_lines(source, statement):
        return None
    while source.parents[found] is not source.parents[source.parents[anchor]]:
        block = source.parents[found]
        owner = source.parents.get(block)
        if not isinstance(block, cst.IndentedBlock) or len(block.body) != 1:
            return None
        if not isinstance(owner, cst.If) or owner.orelse is not None or isinstance(source.parents[owner], cst.If):
            return None
        found = owner
    return found


def unconditional(source: Source, statement: Small) -> Iterator[Edit]:
    """Yield the edits that run a statement whatever the ``if`` or loop says that holds nothing else.

    Args:
        source: The file.
        statement: The only one of its block.

    Yields:
        The edits; none if its block is another, or has other branches.
    """
    owner = lone_owner(source, statement)
    if owner is None:
        return
    first, last = source.lines(owner)[0], source.lines(statement)[-1]
    text = source.code(statement)
    indent = source.indent_of(first)
    yield Edit(source.starts[first - 1], source.line_end(last), f"{indent}{text}{source.newline}")


def lone_owner(source: Source, statement: Small) -> cst.If | cst.For | None:
    """Return the ``if`` or loop without other branches that holds nothing but a statement; else None."""
    line = source.parents[statement]
    block = line if isinstance(line, cst.SimpleStatementSuite) else source.parents[line]
    owner = source.parents.get(block)
    if not isinstance(owner, cst.If | cst.For) or owner.orelse is not None or isinstance(source.parents[owner], cst.If):
        return None
    return owner if isinstance(block, cst.IndentedBlock | cst.SimpleStatementSuite) and len(block.body) == 1 else None
