"""The tables of a check: signal and gradient by depth, theory, number formats, attention, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from evengrad.checks.result import CheckResult, Prediction, Row, Spread
from evengrad.reports.bars import thin
from evengrad.reports.ledger_table import site, spoken
from evengrad.reports.text import Texts, clean, decades, number, percent, texts
from evengrad.reports.values import Table

_FILE: Final = "_check"
_LAYERS: Final = 60  # rows of the table by depth


def _say(words: Texts, key: str, **values: str) -> str:
    return texts(words.lang, _FILE).say(key, **values)


def check_tables(result: CheckResult, words: Texts) -> tuple[Table, ...]:
    """Return the tables that have rows."""
    made = (_by_depth(result, words), _theory(result, words), _formats(result, words), _attention(result, words),
            _time(result, words))  # fmt: skip
    return tuple(table for table in made if table.rows)


def _table(words: Texts, name: str, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...], note: str = "") -> Table:
    title = _say(words, f"table.{name}")
    heads = tuple(_say(words, f"column.{column}") for column in columns)
    return Table(title, heads, tuple(rows), note)


def _by_depth(result: CheckResult, words: Texts) -> Table:
    chosen = thin([row.gradient.median if math.isfinite(row.gradient.median) else math.nan for row in result.rows],
                  _LAYERS)  # fmt: skip
    note = ""
    if len(chosen) < len(result.rows):
        note = words.say("html.chart.thinned", shown=str(len(chosen)), total=f"{len(result.rows):,}")
    columns = ("layer", "signal", "gradient", "predicted", "apart", "activation", "saturated", "dead")
    return _table(words, "depth", [_row(result.rows[index], words) for index in chosen], columns, note)


def _row(row: Row, words: Texts) -> tuple[str, ...]:
    return (
        site(row.layer, words),
        _known(row.signal_rms.median, number),
        _spread(row.gradient),
        _known(row.predicted, decades),
        _known(row.apart, number),
        spoken(row.activation) if row.activation else "",
        _known(row.saturated, percent),
        _known(row.dead, percent),
    )


def _known(value: float, show: object) -> str:
    return "" if math.isnan(value) or not callable(show) else str(show(value))


def _spread(spread: Spread) -> str:
    if math.isnan(spread.median):
        return ""
    if decades(spread.low) == decades(spread.high):
        return decades(spread.median)
    return f"{decades(spread.median)} ({decades(spread.low)} … {decades(spread.high)})"


def _theory(result: CheckResult, words: Texts) -> Table:
    rows = []
    if result.prediction is not None:
        label = _say(words, "theory.now")
        rows.append((label, *_expected(result.prediction), _spread(result.attenuation)))
    for proposal in result.proposals:
        label = _say(words, "theory.proposal", method=proposal.method, factor=number(proposal.factor))
        rows.append((label, *_expected(proposal.expected), ""))
    return _table(words, "theory", rows, ("initialisation", "activation", "variances", "expected", "band", "measured"))


def _expected(one: Prediction) -> tuple[str, ...]:
    return (
        one.activation,
        f"{number(one.weight_variance)}, {number(one.bias_variance)}",
        decades(one.attenuation + one.bias),
        f"{decades(one.low)} … {decades(one.high)}",
    )


def _formats(result: CheckResult, words: Texts) -> Table:
    rows = [
        (
            room.dtype,
            percent(room.overall),
            f"{percent(room.underflow)} ({clean(room.worst)})",
            f"2^{round(math.log2(room.scale))}",
            _known(room.largest_signal, number),
            _say(words, "yes" if room.overflows else "no"),
        )
        for room in result.head_room
    ]
    return _table(words, "formats", rows, ("format", "underflow", "worst", "scale", "largest", "overflows"))


def _attention(result: CheckResult, words: Texts) -> Table:
    rows = [
        (site(one.module, words), str(one.positions), percent(one.entropy), number(one.logits), percent(one.dead_rows))
        for one in result.attention
        if not math.isnan(one.entropy)
    ]
    note = ""
    if result.transformer is not None and rows:
        seen = result.transformer
        note = _say(words, "attention.note", cosine=_known(seen.cosine, number), ratio=_known(seen.query_key, number))
    return _table(words, "attention", rows[:_LAYERS], ("layer", "positions", "entropy", "logits", "dead-rows"), note)


def _time(result: CheckResult, words: Texts) -> Table:
    rows = [
        (site(one.module, words), str(one.length), _spread(one.decades), decades(one.per_step, 3))
        for one in result.times
    ]
    return _table(words, "time", rows, ("layer", "length", "decades", "per-step"))
