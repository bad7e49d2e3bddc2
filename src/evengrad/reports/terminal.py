"""The report on a terminal: one screen, the verdict first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from evengrad.core.finding import Severity, Verdict
from evengrad.reports.bars import thin_bars
from evengrad.reports.document import build_document
from evengrad.reports.glyphs import Glyphs, can_show, glyphs_for
from evengrad.reports.text import Texts, shorten, texts
from evengrad.reports.values import Bars, Document, FindingBlock, LedgerTable

_SCREEN: Final = 40  # rows that the report should fit in
_WIDEST: Final = 100  # columns beyond which lines are hard to read
_ROOMY: Final = 96  # columns from which the ledger gets its little bars
_LABEL: Final = 28  # columns of a layer's name
_PLACES: Final = 3  # modules and source lines named per finding

_COLOUR: Final = {Verdict.HEALTHY: "green", Verdict.SICK: "red", Verdict.UNKNOWN: "yellow"}
_SEVERITY: Final = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
_CODE: Final = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class _Density:
    """How much is drawn: findings in full, further ones in brief, rows of bars and of the ledger."""

    full: int
    brief: int
    bars: int
    ledger: int


_DENSITIES: Final = (
    _Density(full=9, brief=0, bars=16, ledger=5),
    _Density(full=3, brief=3, bars=12, ledger=5),
    _Density(full=2, brief=4, bars=10, ledger=3),
    _Density(full=2, brief=4, bars=7, ledger=2),
    _Density(full=1, brief=4, bars=12, ledger=3),
    _Density(full=1, brief=4, bars=8, ledger=2),
    _Density(full=1, brief=3, bars=5, ledger=1),
    _Density(full=1, brief=1, bars=5, ledger=0),
)


def render_terminal(document: Document, console: Console) -> None:
    """Print a document.

    Args:
        document: What to print. Where the console's encoding lacks the letters of its language, it is said in English.
        console: Where to; its width, colours and encoding are respected. Give one that writes to stderr.
    """
    if not can_show(document.lang, console.encoding):
        document = build_document(document.diagnosis, "en", html_path=document.html_path)
    width = min(console.width, _WIDEST)
    colour = console.color_system is not None and not console.no_color
    page = _Page(document, width, glyphs_for(console.encoding), colour)
    drawn: list[RenderableType] = []
    for density in _DENSITIES:
        drawn = list(page.draw(density))
        if _height(drawn, console, width) <= _SCREEN:
            break
    print_parts(drawn, console, width)


def print_parts(parts: Iterable[RenderableType], console: Console, width: int) -> None:
    """Print the parts of a page; texts that must not be wrapped (paths, source) may be copied whole."""
    for part in parts:
        whole = isinstance(part, Text) and bool(part.no_wrap)
        console.print(part, width=None if whole else width, soft_wrap=whole)


def path_line(label: str, path: str, glyphs: Glyphs) -> Text:
    """Return a label and a path on one line of their own, however long."""
    line = Text(no_wrap=True)
    line.append(f"  {glyphs.fit(label)} ", "bold")
    line.append(glyphs.fit(path), "cyan")
    return line


def _height(parts: list[RenderableType], console: Console, width: int) -> int:
    options = console.options.update(width=width)
    return sum(len(console.render_lines(part, options)) for part in parts)


@dataclass(frozen=True)
class _Page:
    """Draws a document for one terminal."""

    document: Document
    width: int
    glyphs: Glyphs
    colour: bool

    @property
    def words(self) -> Texts:
        return texts(self.document.lang)

    def draw(self, density: _Density) -> Iterator[RenderableType]:
        """Yield the parts of the page from top to bottom."""
        document = self.document
        yield self._head()
        if document.verdict is not Verdict.SICK:
            yield from self._short()
            return
        shown = document.findings[: density.full]
        others = document.findings[density.full :]
        for block in shown:
            yield Text()
            yield self._finding_head(block)
            yield self._indented(self._text(block.message))
            yield self._finding(block)
        if others:
            yield Text()
        for block in others[: density.brief]:
            yield self._brief(block)
        if len(others) > density.brief:
            yield self._text(f"… {self.words.count('count.more', len(others) - density.brief)}", "dim")
        if document.bars:
            yield Text()
            yield from self._bars(document.bars, density.bars)
        if document.ledger and document.steep:
            yield Text()
            yield from self._ledger(document.ledger, density.ledger)
        elif document.depth:
            yield self._indented(self._text(document.depth, "dim"))
        yield Text()
        yield self._foot()
        if document.html_path:
            yield path_line(self.words.say("label.report"), document.html_path, self.glyphs)

    def _head(self) -> Text:
        document = self.document
        colour = _COLOUR[document.verdict]
        head = Text()
        head.append("evengrad ", "bold")
        # Without colour the badge is told apart by capitals, or by brackets where a script has none.
        label = document.verdict_label.upper()
        head.append(self.glyphs.fit(f" {label} " if self.colour else f"[{label}]"), f"bold white on {colour}")
        head.append(f" {self.glyphs.fit(document.headline)}", "bold")
        return head

    def _short(self) -> Iterator[RenderableType]:
        """Yield what a run without a fault is told: a line or two, and what is worth knowing."""
        document = self.document
        for block in document.findings:
            yield self._brief(block)
        if document.verdict is Verdict.UNKNOWN:
            yield self._text(document.next_step)
        elif document.summary:
            yield self._text(self.words.say("list.sentences").join(document.summary))
        for note in document.notes:
            yield self._text(note, "yellow")
        closing = document.overhead if document.verdict is not Verdict.UNKNOWN else ""
        if closing:
            yield self._text(closing, "dim")
        if document.html_path:
            yield path_line(self.words.say("label.report"), document.html_path, self.glyphs)

    def _finding_head(self, block: FindingBlock) -> Text:
        head = self._text(f"{block.severity_label} {block.rule}", _SEVERITY[block.severity])
        head.append(self.glyphs.fit(f"  {block.title} · {block.when}"), "dim")
        return head

    def _finding(self, block: FindingBlock) -> RenderableType:
        rows = [("label.where", self._where(block))]
        if block.cause:
            blanks = {"cause": block.cause, "share": block.cause_share, "explanation": block.explanation}
            rows.append(("label.why", self.words.say("why.line", **blanks)))
        if block.consequences:
            rules = list(dict.fromkeys(other.rule for other in block.consequences))
            rows.append(("label.also", self.words.say("list.separator").join(rules)))
        rows.append(("label.first", block.first))
        rows.append(("label.more", f"`{block.explain}`"))
        return self._labelled([row for row in rows if row[1]])

    def _where(self, block: FindingBlock) -> str:
        """Return the modules (or parameters) of a finding and its source lines."""
        # A line of the user's own code says more than the names of all parameters that suffer.
        names = block.modules or (() if block.places else block.parameters)
        parts = [shorten(name, 2 * _LABEL) for name in names[:_PLACES]]
        if len(names) > _PLACES:
            parts.append(self.words.count("count.more", len(names) - _PLACES))
        where = self.words.say("list.separator").join(parts)
        lines = [f"{place.where}  {place.text}".rstrip() for place in block.places[:1]]
        lines += [place.where for place in block.places[1:_PLACES]]
        return "  ".join([part for part in (where, self.words.say("list.separator").join(lines)) if part])

    def _brief(self, block: FindingBlock) -> Text:
        brief = self._text(f"{block.severity_label} {block.rule}", _SEVERITY[block.severity])
        brief.append("  ")
        brief.append_text(self._text(block.message))
        return brief

    def _bars(self, bars: Bars, limit: int) -> Iterator[RenderableType]:
        title = self._text(bars.title, "bold")
        title.append(self.glyphs.fit(f"  {bars.axis}"), "dim")
        yield title
        rows = thin_bars(bars.rows, limit)
        labels = [self.glyphs.fit(shorten(row.label, _LABEL)) for row in rows]
        column = max(cell_len(label) for label in labels)
        value = max(cell_len(row.text) for row in rows)
        room = self.width - column - value - 12
        for row, label in zip(rows, labels, strict=True):
            line = Text(no_wrap=True, overflow="crop")
            # Rows left out show in the margin: a line of its own would cost a row of the screen.
            line.append(("⋮ " if self.glyphs.blocks else ": ") if row.omitted_before else "  ", "dim")
            line.append(label + " " * (column - cell_len(label)) + " ", "bold" if row.guilty else "")
            line.append(row.text.rjust(value) + " ")
            style = "red" if row.guilty or row.fraction is None else "cyan"
            line.append(self.glyphs.bar(row.fraction, room) if row.fraction is not None else "", style)
            if row.guilty:
                line.append(self.glyphs.fit(" ◄"), "red")
            yield line

    def _ledger(self, ledger: LedgerTable, limit: int) -> Iterator[RenderableType]:
        yield self._text(ledger.title, "bold")
        yield self._indented(self._text(ledger.sentence))
        if not limit:
            return
        rows = [*ledger.worst[:limit], *([ledger.rest] if ledger.rest and limit >= len(ledger.worst) else [])]
        grid = Grid.grid(padding=(0, 1))
        for justify in ("left", "left", "right", "left", "left"):
            grid.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
        # The sum of all others gets no bar: beside it no single operation would have a length.
        largest = max((abs(row.decades) for row in ledger.worst if math.isfinite(row.decades)), default=0.0)
        for row in rows:
            drawn = self.width >= _ROOMY and row is not ledger.rest and math.isfinite(row.decades) and largest > 0
            bar = self.glyphs.bar(abs(row.decades) / largest, 14) if drawn else ""
            grid.add_row(
                Text(f"  {self.glyphs.fit(shorten(row.label, _LABEL))}"),
                Text(self.glyphs.fit(row.operation)),
                Text(row.text),
                Text(bar, "red" if row.decades < 0 else "magenta"),
                Text(self.glyphs.fit(shorten(row.where, 36)), "dim"),
            )
        yield grid

    def _foot(self) -> RenderableType:
        document = self.document
        rows = [("label.next", document.next_step)]
        rows += [("", note) for note in document.notes]
        closing = (document.loss, document.overhead)
        rows.append(("", self.words.say("list.sentences").join(sentence for sentence in closing if sentence)))
        return self._labelled([row for row in rows if row[1]])

    def _labelled(self, rows: list[tuple[str, str]]) -> Grid:
        """Return rows of a label and a text that wraps beside it."""
        labels = [self.glyphs.fit(self.words.say(key)) if key else "" for key, _ in rows]
        grid = Grid.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, min_width=max(cell_len(label) for label in labels) + 2)
        grid.add_column(overflow="fold")
        for label, (_, text) in zip(labels, rows, strict=True):
            grid.add_row(Text(f"  {label}", "bold" if label else ""), self._text(text))
        return grid

    def _indented(self, text: Text) -> Padding:
        return Padding(text, (0, 0, 0, 2), expand=False)

    def _text(self, text: str, style: str = "") -> Text:
        """Return a text; code is set off by colour, or keeps its backticks where there is none."""
        made = Text(style=style, overflow="fold")
        position = 0
        for match in _CODE.finditer(text):
            made.append(self.glyphs.fit(text[position : match.start()]))
            made.append(self.glyphs.fit(match[1] if self.colour else match[0]), "cyan")
            position = match.end()
        made.append(self.glyphs.fit(text[position:]))
        return made
