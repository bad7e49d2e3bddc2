"""The report in Markdown: for an issue, a pull request, a chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from evengrad.core.finding import Verdict
from evengrad.reports.text import Texts, texts
from evengrad.reports.values import Bars, Document, FindingBlock, LedgerTable

_BAR: Final = 24  # characters of the longest bar
_CODE: Final = re.compile(r"(`[^`]*`)")
_SPECIAL: Final = re.compile(r"([\\*_{}\[\]<>#|~!&])")
_LEADING: Final = re.compile(r"^(\s*\d*)([-+.)])(?=\s)")


def render_markdown(document: Document) -> str:
    """Return a document as Markdown that ends with a line break."""
    return "\n\n".join(_parts(document)) + "\n"


def _parts(document: Document) -> Iterator[str]:
    words = texts(document.lang)
    yield f"# evengrad: {_escape(document.verdict_label)}"
    yield f"**{_prose(document.headline)}**"
    if document.summary:
        yield words.say("list.sentences").join(_prose(sentence) for sentence in document.summary)
    for block in document.findings:
        yield from _finding(block, words)
    if document.bars and document.verdict is Verdict.SICK:
        yield from _bars(document.bars, words)
    if document.ledger and document.steep and document.verdict is Verdict.SICK:
        yield from _ledger(document.ledger, words)
    yield f"## {_escape(words.say('html.next'))}"
    yield _prose(document.next_step)
    if document.notes:
        yield "\n".join(f"- {_prose(note)}" for note in document.notes)
    for table in document.tables:
        yield f"## {_escape(table.title)}"
        yield _table(table.columns, table.rows)
        if table.note:
            yield _prose(table.note)
    yield _prose(document.overhead)


def _finding(block: FindingBlock, words: Texts) -> Iterator[str]:
    yield f"## {_escape(block.severity_label)}: {_escape(block.title)} ({_code(block.rule)})"
    yield _prose(block.message)
    places = [f"{_code(place.where)} {_code(place.text) if place.text else ''}".strip() for place in block.places]
    names = block.modules or (() if places else block.parameters)
    where = [*(_code(name) for name in names), *places]
    facts = [("label.since", _prose(block.when)), ("label.where", ", ".join(where))]
    if block.cause:
        blanks = {"cause": block.cause, "share": block.cause_share, "explanation": block.explanation}
        facts.append(("label.why", _prose(words.say("why.line", **blanks))))
    facts.append(("label.first", _prose(block.first)))
    facts.append(("label.more", _code(block.explain)))
    yield "\n".join(f"- **{_escape(words.say(label))}**: {text}" for label, text in facts if text)
    if block.evidence:
        columns = [words.say(f"html.{name}") for name in ("quantity", "subject", "measured", "threshold", "unit")]
        rows = [(row.quantity, row.subject, row.measured, row.threshold, row.unit) for row in block.evidence]
        yield _table(columns, rows)
    if block.consequences:
        yield f"{_escape(words.say('html.consequences'))}:"
        told = [{"title": other.title, "rule": other.rule, "message": other.message} for other in block.consequences]
        yield "\n".join(f"- {_prose(words.say('consequence.line', **blanks))}" for blanks in told)


def _bars(bars: Bars, words: Texts) -> Iterator[str]:
    yield f"## {_prose(bars.title)}"
    labels = [row.label.replace("`", "'") for row in bars.rows]
    width = max((len(label) for label in labels), default=0)
    lines = []
    for row, label in zip(bars.rows, labels, strict=True):
        if row.omitted_before:
            lines.append(words.say("bars.omitted", number=f"{row.omitted_before:,}"))
        bar = "█" * max(1, round(row.fraction * _BAR)) if row.fraction is not None else ""
        lines.append(f"{label.ljust(width)}  {row.text:>8}  {bar}".rstrip())
    yield "\n".join(["```text", *lines, bars.axis, "```"])


def _ledger(ledger: LedgerTable, words: Texts) -> Iterator[str]:
    yield f"## {_prose(ledger.title)}"
    yield _prose(ledger.sentence)
    rows = [(row.label, row.operation, row.text, row.where) for row in ledger.worst]
    if ledger.rest:
        rows.append((ledger.rest.label, "", ledger.rest.text, ""))
    columns = [words.say(key) for key in ("table.layers.name", "table.operation", "html.axis.decades", "table.source")]
    yield _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns), escaped=True), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str], *, escaped: bool = False) -> str:
    return f"| {' | '.join(cells if escaped else [_escape(cell) for cell in cells])} |"


def _prose(text: str) -> str:
    """Return a text with its code spans kept and everything else escaped."""
    return "".join(_code(part[1:-1]) if _CODE.fullmatch(part) else _escape(part) for part in _CODE.split(text))


def _code(text: str) -> str:
    """Return a code span, fenced by more backticks than the text has in a row: nothing in it is read as Markdown."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _escape(text: str) -> str:
    """Return a text in which no character is read as Markdown or HTML."""
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text.replace("`", "'")))
