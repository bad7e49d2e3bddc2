"""The report on a fix in a terminal: the ending first, then the change, its proof, and what was tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from evengrad.core.trial import Ending
from evengrad.reports.fix.document import BOOK, FixDocument, build_fix_document
from evengrad.reports.glyphs import Glyphs, can_show, glyphs_for
from evengrad.reports.terminal import path_line, print_parts
from evengrad.reports.text import Texts, clean, texts

_WIDEST: Final = 100  # columns beyond which lines are hard to read
_NOTED: Final = 90  # columns from which the table has room for its notes
_HANDS: Final = 3  # instructions shown
_CODE: Final = re.compile(r"`([^`]*)`")
_COLOUR: Final = {Ending.HEALTHY: "green", Ending.PROVEN: "green", Ending.UNKNOWN: "yellow"}
_OUTCOME: Final = {"better": "green", "worse": "red", "broken": "red"}
_DIFF: Final = {"+": "green", "-": "red", "@": "cyan"}


def render_fix_terminal(document: FixDocument, console: Console) -> None:
    """Print a document.

    Args:
        document: What to print. Where the console's encoding lacks the letters of its language, it is said in English.
        console: Where to; its width, colours and encoding are respected.
    """
    if not can_show(document.lang, console.encoding):
        document = build_fix_document(document.fix, "en", html_path=document.html_path)
    width = min(console.width, _WIDEST)
    colour = console.color_system is not None and not console.no_color
    page = _Page(document, width, glyphs_for(console.encoding), colour)
    print_parts(page.draw(), console, width)


@dataclass(frozen=True)
class _Page:
    """Draws a document for one terminal."""

    document: FixDocument
    width: int
    glyphs: Glyphs
    colour: bool

    @property
    def words(self) -> Texts:
        return texts(self.document.lang, BOOK)

    def draw(self) -> Iterator[RenderableType]:
        """Yield the parts of the page from top to bottom."""
        document = self.document
        yield self._head()
        for fault in document.faults:
            yield Padding(self._text(fault), (0, 0, 0, 2), expand=False)
        if document.diff:
            yield Text()
            yield self._text(self.words.say("diff.title"), "bold")
            yield from self._diff()
        if document.table is not None:
            yield Text()
            yield from self._arms()
        yield Text()
        yield self._foot()
        for key, path in (("label.patched", document.patched), ("label.report", document.html_path)):
            if path:
                yield path_line(self.words.say(key), path, self.glyphs)

    def _head(self) -> Text:
        head = Text()
        head.append("evengrad ", "bold")
        label = self.document.badge.upper()
        colour = _COLOUR.get(self.document.fix.ending, "red")
        head.append(self.glyphs.fit(f" {label} " if self.colour else f"[{label}]"), f"bold white on {colour}")
        head.append(f" {self.glyphs.fit(self.document.headline)}", "bold")
        return head

    def _diff(self) -> Iterator[Text]:
        for line in self.document.diff.splitlines():
            yield Text(self.glyphs.fit(f"  {clean_line(line)}"), _DIFF.get(line[:1], "dim"), no_wrap=True)

    def _arms(self) -> Iterator[RenderableType]:
        table = self.document.table
        assert table is not None
        title = self._text(table.title, "bold")
        title.append(self.glyphs.fit(f"  {table.note}"), "dim")
        yield title
        shown = len(table.columns) - (self.width < _NOTED)
        grid = Grid.grid(padding=(0, 2, 0, 0))
        for column in table.columns[:shown]:
            grid.add_column(self.glyphs.fit(column), overflow="fold")
        grid.add_row(*(Text(self.glyphs.fit(column), "dim") for column in table.columns[:shown]))
        for arm, row in zip(self.document.fix.arms, table.rows, strict=True):
            chosen = arm is self.document.fix.winner
            style = _OUTCOME.get(arm.outcome.value if arm.outcome is not None else "", "")
            cells = [Text(self.glyphs.fit(cell), "bold" if chosen else "") for cell in row[:shown]]
            cells[1].stylize(style)
            grid.add_row(*cells)
        yield Padding(grid, (0, 0, 0, 2), expand=False)

    def _foot(self) -> Grid:
        document = self.document
        rows = [("label.proof" if document.diff else "label.why", sentence) for sentence in document.proof]
        rows.append(("label.apply", document.apply))
        rows += [("label.hand", text) for text in document.hand[:_HANDS]]
        rows.append(("label.cost", document.cost))
        return self._labelled([row for row in rows if row[1]])

    def _labelled(self, rows: list[tuple[str, str]]) -> Grid:
        """Return rows of a label, said once, and a text that wraps beside it."""
        labels = [self.glyphs.fit(self.words.say(key)) for key, _ in rows]
        grid = Grid.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, min_width=max(map(cell_len, labels), default=0) + 2)
        grid.add_column(overflow="fold")
        before = ""
        for name, (_, text) in zip(labels, rows, strict=True):
            grid.add_row(Text("" if name == before else f"  {name}", "bold"), self._text(text))
            before = name
        return grid

    def _text(self, text: str, style: str = "") -> Text:
        made = Text(style=style, overflow="fold")
        position = 0
        for match in _CODE.finditer(text):
            made.append(self.glyphs.fit(text[position : match.start()]))
            made.append(self.glyphs.fit(match[1] if self.colour else match[0]), "cyan")
            position = match.end()
        made.append(self.glyphs.fit(text[position:]))
        return made


def clean_line(line: str) -> str:
    """Return a line of source that cannot steer a terminal; its tabs become four spaces."""
    return clean(line.replace("\t", "    "))
