"""The plain tables of a full report: layers, optimizers, events, environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from evengrad.core.event import Event
from evengrad.core.info import OptimizerInfo, SiteInfo
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.reports.bars import thin
from evengrad.reports.ledger_table import site, spoken
from evengrad.reports.text import Texts, clean, number, percent
from evengrad.reports.values import Table
from evengrad.reports.weights import weights

_LAYERS: Final = 60  # rows of the table of layers
_EVENTS: Final = 40  # and of events
_DETAIL: Final = 120  # characters of an event's details


def detail_tables(trace: Trace, words: Texts) -> tuple[Table, ...]:
    """Return the tables that have rows."""
    made = (_layers(trace, words), _optimizers(trace, words), _events(trace, words), _environment(trace, words))
    return tuple(table for table in made if table.rows)


def _layers(trace: Trace, words: Texts) -> Table:
    sizes = [trace.get(Statistic.GRAD_OUTPUT_NORM, one.name).last() for one in trace.layers]
    logs = [math.log10(size) if math.isfinite(size) and size > 0 else math.nan for size in sizes]
    chosen = thin(logs, _LAYERS)
    note = ""
    if len(chosen) < len(sizes):
        note = words.say("html.chart.thinned", shown=str(len(chosen)), total=f"{len(sizes):,}")
    held = weights(trace)
    columns = ("table.layers.name", "table.operation", "table.gradient", "table.weight", "table.update", "table.source")
    return Table(
        words.say("table.layers"),
        tuple(words.say(column) for column in columns),
        tuple(_layer(trace, layer, held.get(layer.name, ""), words) for layer in (trace.layers[i] for i in chosen)),
        note,
    )


def _layer(trace: Trace, layer: SiteInfo, weight: str, words: Texts) -> tuple[str, ...]:
    measured = (
        trace.get(Statistic.GRAD_OUTPUT_NORM, layer.name),
        trace.get(Statistic.WEIGHT_RMS, weight),
        trace.get(Statistic.UPDATE_RATIO, weight),
    )
    cells = tuple(number(series.last()) if len(series) else "" for series in measured)
    where = f"{clean(layer.source.file)}:{layer.source.line}" if layer.source else ""
    return (site(layer.name, words), spoken(layer.operation), *cells, where)


def _optimizers(trace: Trace, words: Texts) -> Table:
    rows = [
        (clean(one.kind), str(index), _settings(group), f"{_numel(trace, one, index):,}", _where(one))
        for one in trace.optimizers
        for index, group in enumerate(one.groups)
    ]
    columns = ("table.optimizer", "table.group", "table.settings", "table.parameters", "table.source")
    return Table(words.say("table.optimizers"), tuple(words.say(column) for column in columns), tuple(rows))


def _settings(group: Mapping[str, float]) -> str:
    """Return the settings that do something: a switch that is off or a term of zero says nothing, except the rate."""
    told = {name: value for name, value in group.items() if value or name == "lr"}
    return ", ".join(f"{clean(name)}={number(value)}" for name, value in told.items())


def _numel(trace: Trace, optimizer: OptimizerInfo, group: int) -> int:
    return sum(p.numel for p in trace.parameters if (p.optimizer, p.group) == (optimizer.index, group))


def _where(optimizer: OptimizerInfo) -> str:
    return f"{clean(optimizer.source.file)}:{optimizer.source.line}" if optimizer.source else ""


def _events(trace: Trace, words: Texts) -> Table:
    rows = [_event(event, words) for event in sorted(trace.events, key=lambda event: event.step)]
    note = words.say("html.chart.thinned", shown=str(_EVENTS), total=f"{len(rows):,}") if len(rows) > _EVENTS else ""
    columns = ("table.event", "table.step", "table.count", "table.details", "table.source")
    return Table(words.say("table.events"), tuple(words.say(column) for column in columns), tuple(rows[:_EVENTS]), note)


def _event(event: Event, words: Texts) -> tuple[str, ...]:
    steps = f"{event.step:,}" if event.last_step <= event.step else f"{event.step:,} – {event.last_step:,}"
    details = "; ".join(f"{clean(key)}: {clean(value)}" for key, value in event.details.items())
    where = f"{clean(event.source.file)}:{event.source.line}" if event.source else ""
    return (words.say(f"event.{event.kind.value}"), steps, f"{event.count:,}", details[:_DETAIL], where)


def _environment(trace: Trace, words: Texts) -> Table:
    here, cost = trace.environment, trace.overhead
    root = trace.module("")
    rows = [
        ("torch", clean(here.torch)),
        ("Python", clean(here.python)),
        (words.say("table.device"), clean(here.device)),
        *((clean(key), clean(value)) for key, value in here.extras.items()),
        (words.say("table.model"), clean(root.kind) if root else ""),
        (words.say("table.steps"), f"{trace.steps:,}"),
        (words.say("table.parameters"), f"{sum(p.numel for p in trace.parameters):,}"),
        (words.say("table.overhead"), percent(cost.share) if cost.run_seconds > 0 else ""),
        (words.say("table.budget"), percent(cost.budget)),
        (words.say("table.probes"), f"{cost.deep_steps:,}"),
    ]
    columns = (words.say("table.property"), words.say("table.value"))
    return Table(words.say("table.environment"), columns, tuple(row for row in rows if row[1]))
