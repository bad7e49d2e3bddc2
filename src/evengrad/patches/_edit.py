"""Edits of text: replace what a node covers, put statements before or behind others, add an import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._source import Source

_BOM = "\ufeff"


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the characters from ``start`` to ``end`` by ``text``; equal edits are one if ``once``."""

    start: int
    end: int
    text: str
    once: bool = True


def rewritten(source: Source, edits: Iterable[Edit], original: str) -> str:
    """Return the text with edits carried out, checked to be Python.

    Args:
        source: The parsed text.
        edits: What to do.
        original: The text with its byte-order mark, if it has one.

    Returns:
        The new text.

    Raises:
        PatchError: Two edits overlap, or the result does not compile.
    """
    text, last = source.text, len(source.text) + 1
    given = list(edits)
    unique = [*dict.fromkeys(edit for edit in given if edit.once), *(edit for edit in given if not edit.once)]
    for edit in sorted(unique, reverse=True):
        if edit.end > last:
            raise PatchError(f"two edits meet at line {line_at(source, edit.start)}; make the change by hand there")
        text = text[: edit.start] + edit.text + text[edit.end :]
        last = edit.start
    try:
        compile(text, source.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise PatchError(f"the change does not fit the code around it ({error}); make it by hand") from error
    return _BOM + text if original.startswith(_BOM) else text


def line_at(source: Source, offset: int) -> int:
    """Return the line that an offset is on."""
    return sum(start <= offset for start in source.starts)


def replace(source: Source, node: cst.CSTNode, text: str) -> Edit:
    """Return the edit that puts text in a node's place; parentheses around the node stay."""
    return Edit(*source.span(node), text)


def around(source: Source, outer: cst.CSTNode, inner: cst.CSTNode, prefix: str, suffix: str) -> tuple[Edit, Edit]:
    """Return the edits that put other text around a part of a node; the part may be edited as well."""
    start, end = source.span(outer)
    first, last = source.span(inner)
    return Edit(start, first, prefix, once=False), Edit(last, end, suffix, once=False)


def before(source: Source, statement: cst.BaseSmallStatement, lines: Sequence[str]) -> Edit:
    """Return the edit that puts statements before a simple one, above the comments that belong to it.

    Args:
        source: The file.
        statement: What they come before.
        lines: The statements; four spaces a level.

    Returns:
        The edit.

    Raises:
        PatchError: The statement shares its line with a block's head, and the new ones are compound.
    """
    start, _ = source.span(statement)
    parent = source.parents[statement]
    body = _body(parent)
    if body and body[0] is not statement:
        previous = body[[s is statement for s in body].index(True) - 1]
        if _simple(lines):
            return Edit(start, start, "; ".join(lines) + "; ")
        indent = source.indent_of(source.line(statement))
        text = source.newline + source.block(lines, indent) + indent
        return Edit(source.span(previous)[1], start, text)
    if isinstance(parent, cst.SimpleStatementSuite):
        _need_simple(source, statement, lines)
        return Edit(start, start, "; ".join(lines) + "; ")
    line = above_comments(source, source.line(statement))
    at = source.starts[line - 1]
    return Edit(at, at, source.block(lines, source.indent_of(source.line(statement))))


def after(source: Source, statement: cst.BaseSmallStatement, lines: Sequence[str]) -> Edit:
    """Return the edit that puts statements behind a simple one.

    Args:
        source: The file.
        statement: What they come behind.
        lines: The statements; four spaces a level.

    Returns:
        The edit.

    Raises:
        PatchError: The statement shares its line with others, and the new ones are compound.
    """
    _, end = source.span(statement)
    parent = source.parents[statement]
    body = _body(parent)
    if isinstance(parent, cst.SimpleStatementSuite) or (body and body[-1] is not statement):
        _need_simple(source, statement, lines)
        return Edit(end, end, "; " + "; ".join(lines))
    at = source.line_end(source.lines(statement)[-1])
    text = source.block(lines, source.indent_of(source.line(statement)))
    return Edit(at, at, text if source.text[:at].endswith(("\n", "\r")) else source.newline + text.rstrip("\r\n"))


def before_block(source: Source, statement: cst.CSTNode, lines: Sequence[str]) -> Edit:
    """Return the edit that puts lines before a statement of any kind that begins a line, above its comments."""
    first = statement
    if isinstance(statement, cst.FunctionDef | cst.ClassDef) and statement.decorators:
        first = statement.decorators[0]
    at = source.starts[above_comments(source, source.line(first)) - 1]
    return Edit(at, at, source.block(lines, source.indent_of(source.line(first))))


def remove(source: Source, statement: cst.BaseSmallStatement) -> Edit:
    """Return the edit that takes a simple statement out; ``pass`` takes its place where it was the only one."""
    start, end = source.span(statement)
    parent = source.parents[statement]
    body = _body(parent)
    if body and len(body) > 1:
        index = [s is statement for s in body].index(True)
        if index + 1 < len(body):
            return Edit(start, source.span(body[index + 1])[0], "")
        return Edit(source.span(body[index - 1])[1], end, "")
    if isinstance(parent, cst.SimpleStatementSuite) or _alone(source, parent):
        return Edit(start, end, "pass")
    lines = source.lines(statement)
    return Edit(source.starts[lines[0] - 1], source.line_end(lines[-1]), "")


def _alone(source: Source, line: cst.CSTNode) -> bool:
    """Return whether a statement's line is all that its block holds."""
    block = source.parents[line]
    return isinstance(block, cst.IndentedBlock) and len(block.body) == 1


def _body(parent: cst.CSTNode) -> Sequence[cst.BaseSmallStatement]:
    return parent.body if isinstance(parent, cst.SimpleStatementLine | cst.SimpleStatementSuite) else ()


def _simple(lines: Sequence[str]) -> bool:
    return not any(line.startswith(" ") or line.rstrip().endswith(":") for line in lines)


def _need_simple(source: Source, statement: cst.BaseSmallStatement, lines: Sequence[str]) -> None:
    if not _simple(lines):
        shown = "\n".join(lines)
        raise PatchError(f"give line {source.line(statement)} lines of its own, then put beside it:\n{shown}")


def above_comments(source: Source, line: int) -> int:
    """Return the first line of the comments right above a line, at the same indentation; else the line itself."""
    indent = source.indent_of(line)
    while line > 1:
        above = source.text[source.starts[line - 2] : source.starts[line - 1]]
        inside_string = any(line - 1 in source.lines(node)[1:] for node in source.all(cst.SimpleString))
        if not above.startswith(indent + "#") or above.startswith("#!") or inside_string:
            break
        line -= 1
    return line


def torch_name(source: Source, target: str, at: cst.CSTNode) -> tuple[str, tuple[Edit, ...]]:
    """Return an expression for something of torch, and the import that it needs, if any.

    Args:
        source: The file.
        target: What is wanted, ``torch.nn.LayerNorm``.
        at: Where it will stand.

    Returns:
        The expression and the edits.
    """
    expression = source.refer(target, at)
    if expression is not None:
        return expression, ()
    package, _, name = target.rpartition(".")
    # `from torch.nn import Linear, Sigmoid` gains a name; nothing else changes.
    for found in source.visible(at):
        if isinstance(found.statement, cst.ImportFrom) and found.target.rpartition(".")[0] == package:
            names = found.statement.names
            if not isinstance(names, cst.ImportStar):
                end = source.span(names[-1].asname or names[-1].name)[1]
                return name, (Edit(end, end, f", {name}"),)
    if target.startswith("torch.nn."):
        return "nn." + target.removeprefix("torch.nn."), (new_import(source, "from torch import nn"),)
    return target, (new_import(source, "import torch"),)


def new_import(source: Source, line: str) -> Edit:
    """Return the edit that adds an import behind the file's last one at the top, else behind its docstring."""
    at = 1
    for index, statement in enumerate(source.module.body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        first = statement.body[0]
        docstring = index == 0 and isinstance(first, cst.Expr) and isinstance(first.value, cst.BaseString)
        if docstring or isinstance(first, cst.Import | cst.ImportFrom):
            at = source.lines(statement)[-1] + 1
    if at > 1:
        offset = source.line_end(at - 1)
    else:
        # Behind a shebang, a coding line and the licence.
        head = [part.comment is not None for part in source.module.header]
        offset = source.starts[len(head)] if head and len(head) < len(source.starts) else 0
    after_code = source.text[offset:].startswith(("def ", "class ", "async ", "@"))
    return Edit(offset, offset, line + source.newline * (3 if after_code else 1))
