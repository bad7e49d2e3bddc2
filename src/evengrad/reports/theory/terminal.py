"""The picture on a terminal: the sentence first, then what to write, then the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from evengrad.reports.glyphs import Glyphs, can_show, glyphs_for
from evengrad.reports.text import Texts, texts
from evengrad.reports.theory.document import build_theory_document
from evengrad.reports.theory.values import Cell, Plot, TheoryDocument
from evengrad.reports.theory.wording import BOOK
from evengrad.reports.values import Table

_WIDEST: Final = 100  # columns beyond which lines are hard to read
_SHORTEST: Final = 6  # columns of a bar, whatever the width
_CODE: Final = re.compile(r"`([^`]*)`")
_STYLES: Final = ("yellow", "green")  # of the two initialisations that are contrasted


def render_theory_terminal(document: TheoryDocument, console: Console) -> None:
    """Print a document.

    Args:
        document: What to print. Where the console's encoding lacks the letters of its language, it is said in English.
        console: Where to; its width, colours and encoding are respected.
    """
    if not can_show(document.lang, console.encoding):
        document = build_theory_document(document.picture, "en")
    width = min(console.width, _WIDEST)
    colour = console.color_system is not None and not console.no_color
    page = _Page(document, width, glyphs_for(console.encoding), colour)
    for part in page.draw():
        console.print(part, width=width)


@dataclass(frozen=True)
class _Page:
    """Draws a document for one terminal."""

    document: TheoryDocument
    width: int
    glyphs: Glyphs
    colour: bool

    @property
    def words(self) -> Texts:
        return texts(self.document.lang, BOOK)

    def draw(self) -> Iterator[RenderableType]:
        """Yield the parts of the page from top to bottom."""
        document = self.document
        yield self._text(document.headline, "bold")
        yield self._text(document.default)
        notes = [("", note) for note in document.notes]
        yield Text()
        yield self._labelled([(self.words.say("label.first"), document.advice), *notes])
        yield Text()
        yield self._table(document.comparison)
        yield self._text(document.comparison.note, "dim")
        yield Text()
        yield from self._plot(document.plot)
        yield Text()
        yield self._text(document.facts.title, "bold")
        yield self._labelled([(row[0], row[1]) for row in document.facts.rows])

    def _table(self, table: Table) -> Grid:
        """Return the comparison; numbers to the right, words to the left."""
        grid = Grid(
            title=self._text(table.title, "bold"), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
        )
        for index, column in enumerate(table.columns):
            left = index == 0 or not any(row[index][:1].isdigit() for row in table.rows)
            grid.add_column(
                self._text(column, "dim"), justify="left" if left else "right", overflow="fold", no_wrap=index == 0
            )
        for row in table.rows:
            grid.add_row(*(self._text(cell) for cell in row))
        return grid

    def _plot(self, plot: Plot) -> Iterator[RenderableType]:
        yield self._text(plot.title, "bold")
        label = max(cell_len(text) for text in plot.layers)
        values = [max(cell_len(cell.text) for cell in column.cells) for column in plot.columns]
        room = max(_SHORTEST, (self.width - label - 2 - sum(values)) // len(plot.columns) - 3)
        yield from self._heads(plot, label, [value + 1 + room for value in values])
        for index, layer in enumerate(plot.layers):
            line = Text(no_wrap=True, overflow="crop")
            line.append(f"  {layer.rjust(label)}")
            for number, column in enumerate(plot.columns):
                line.append(f"  {column.cells[index].text.rjust(values[number])} ")
                line.append_text(self._bar(column.cells[index], room, _STYLES[number % len(_STYLES)]))
            yield line

    def _heads(self, plot: Plot, label: int, widths: list[int]) -> Iterator[Text]:
        """Yield the lines that say what each column shows: the quantity where it changes, and the initialisation."""
        quantities = [column.quantity for column in plot.columns]
        changes = [not index or quantities[index - 1] != one for index, one in enumerate(quantities)]
        shown = [one if first else "" for one, first in zip(quantities, changes, strict=True)]
        for texts_of_line in (shown, [column.initialisation for column in plot.columns]):
            head = Text(" " * (label + 2), style="dim", no_wrap=True, overflow="crop")
            for said, width in zip(texts_of_line, widths, strict=True):
                clipped = Text(self.glyphs.fit(said))
                clipped.truncate(width, overflow="ellipsis" if self.glyphs.blocks else "crop", pad=True)
                head.append("  ").append_text(clipped)
            yield head

    def _bar(self, cell: Cell, room: int, style: str) -> Text:
        drawn = Text(self.glyphs.bar(cell.fraction, room) if cell.fraction is not None else "", style)
        drawn.pad_right(max(0, room - drawn.cell_len))
        return drawn

    def _labelled(self, rows: list[tuple[str, str]]) -> Grid:
        """Return rows of a label and a text that wraps beside it."""
        grid = Grid.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, min_width=max(cell_len(label) for label, _ in rows) + 2)
        grid.add_column(overflow="fold")
        for label, text in rows:
            grid.add_row(self._text(f"  {label}", "bold"), self._text(text))
        return grid

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
