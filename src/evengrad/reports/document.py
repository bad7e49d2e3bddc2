"""From a diagnosis to a document: everything that a report says, in the reader's language."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from evengrad.core.event import Event, EventKind
from evengrad.core.finding import Diagnosis, Severity, Verdict
from evengrad.core.ledger import Ledger
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.reports.bars import gradient_bars
from evengrad.reports.findings import finding_block
from evengrad.reports.ledger_table import DECADES, guilty_ledger, ledger_table, site
from evengrad.reports.tables import detail_tables
from evengrad.reports.text import Texts, clean, decades, number, percent, texts
from evengrad.reports.values import Document

__all__ = ["Document", "build_document"]

_SAME: Final = 0.1  # decades below which the range over a run is not worth two numbers

_WORTH_A_LEDGER: Final = 1.0  # decades across depth; below it nobody asks who took them. Own choice
_SHORT: Final = 60.0  # seconds below which the first probes alone may exceed the budget; own choice

# Events that the reader must know of to trust the report; the others are in the table of events.
_TOLD: Final = (
    EventKind.SCRIPT_ERROR,
    EventKind.INTERRUPTED,
    EventKind.SELF_DISABLED,
    EventKind.COMPILED,
    EventKind.FORKED,
)


def build_document(diagnosis: Diagnosis, lang: str = "en", *, html_path: str = "") -> Document:
    """Return the report on a diagnosis.

    Args:
        diagnosis: What was found.
        lang: ``"en"`` or ``"zh-TW"``.
        html_path: Where the HTML report is, if the reader should be told.

    Raises:
        UsageError: there are no texts in that language.
    """
    words = texts(lang)
    trace = diagnosis.trace
    ledger = guilty_ledger(diagnosis)
    findings = tuple(finding_block(finding, trace, words) for finding in diagnosis.findings)
    return Document(
        lang=lang,
        verdict=diagnosis.verdict,
        verdict_label=words.say(f"verdict.{diagnosis.verdict.value}"),
        headline=_headline(diagnosis, words),
        run=run_name(trace, words),
        depth=_depth(diagnosis, words),
        loss=_loss(trace, words),
        findings=findings,
        steep=_steep(diagnosis, ledger),
        bars=gradient_bars(diagnosis, words),
        ledger=ledger_table(ledger, words) if ledger else None,
        next_step=_next_step(diagnosis, words),
        overhead=_overhead(trace, words),
        notes=_notes(diagnosis, words),
        tables=detail_tables(trace, words),
        diagnosis=diagnosis,
        html_path=html_path,
    )


def run_name(trace: Trace, words: Texts) -> str:
    """Return the run in words, ``300 steps of train.py``."""
    steps = words.count("count.steps", trace.steps)
    script = clean(trace.script).strip()
    return words.say("run.script", steps=steps, script=script) if script else words.say("run.no-script", steps=steps)


def _headline(diagnosis: Diagnosis, words: Texts) -> str:
    """Return the verdict in a sentence."""
    counts: list[str] = []
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        found = sum(finding.severity is severity for finding in diagnosis.findings)
        # Things worth knowing do not stand beside errors.
        if found and not (counts and severity is Severity.INFO):
            counts.append(words.count(f"count.{severity.value}", found))
    key = f"headline.{diagnosis.verdict.value}"
    if diagnosis.verdict is Verdict.HEALTHY and counts:
        key = f"{key}.info"
    script = clean(diagnosis.trace.script).strip() or words.say("word.script")
    told = words.say("list.separator").join(counts)
    return words.say(key, counts=told, run=run_name(diagnosis.trace, words), script=script)


def _next_step(diagnosis: Diagnosis, words: Texts) -> str:
    several = diagnosis.verdict is Verdict.SICK and len(diagnosis.findings) > 1
    return words.say(f"next.{diagnosis.verdict.value}{'.several' if several else ''}")


def _steep(diagnosis: Diagnosis, ledger: Ledger | None) -> bool:
    """Say whether the ledger explains something: else it would only distract from what is wrong."""
    if ledger is None:
        return False
    rests = any(row.unit == DECADES for finding in diagnosis.findings[:1] for row in finding.evidence)
    return rests or abs(ledger.attenuation) >= _WORTH_A_LEDGER


def _depth(diagnosis: Diagnosis, words: Texts) -> str:
    shown = guilty_ledger(diagnosis)
    if shown is None:
        return ""
    names = {"first": site(shown.first, words), "last": site(shown.last, words)}
    if shown.attenuation == -math.inf:
        return words.say("summary.depth.zero", **names)
    same_path = [
        ledger.attenuation
        for ledger in diagnosis.trace.ledgers
        if (ledger.first, ledger.last) == (shown.first, shown.last) and math.isfinite(ledger.attenuation)
    ]
    if not same_path:
        return ""
    names["layers"] = words.count("count.layers", shown.layers)
    low, high = min(same_path), max(same_path)
    if high - low < _SAME:
        return words.say("summary.depth", decades=decades(same_path[-1]), **names)
    return words.say("summary.depth.range", low=decades(low), high=decades(high), **names)


def _loss(trace: Trace, words: Texts) -> str:
    losses = trace.get(Statistic.LOSS)
    if not len(losses):
        return ""
    ends = {"first": number(losses.first()), "last": number(losses.last())}
    strange = np.flatnonzero(~np.isfinite(losses.values))
    if len(strange) and not math.isfinite(losses.last()):
        return words.say("summary.loss.non-finite", step=f"{int(losses.steps[strange[0]]):,}", **ends)
    return words.say("summary.loss", **ends)


def _overhead(trace: Trace, words: Texts) -> str:
    cost = trace.overhead
    budget = percent(cost.budget)
    if cost.run_seconds <= 0:
        return words.say("overhead.unknown", budget=budget)
    short = cost.share > cost.budget and cost.run_seconds < _SHORT
    return words.say(
        "overhead.short" if short else "overhead",
        share=percent(cost.share),
        own=number(round(cost.seconds, 2)),
        seconds=number(round(cost.run_seconds, 2)),
        budget=budget,
        probes=words.count("count.probes", cost.deep_steps),
    )


def _notes(diagnosis: Diagnosis, words: Texts) -> tuple[str, ...]:
    """Return what the reader must know to trust the report."""
    trace = diagnosis.trace
    notes = [_note(event, words) for event in trace.events_of(*_TOLD)]
    if not trace.completed:
        notes.append(words.say("note.not-completed", step=f"{max(0, trace.steps - 1):,}"))
    if diagnosis.failed_rules:
        failed = words.say("list.separator").join(clean(rule) for rule in diagnosis.failed_rules)
        notes.append(words.say("note.failed-rules", rules=failed))
    return tuple(dict.fromkeys(notes))


def _note(event: Event, words: Texts) -> str:
    details = {key: clean(value) for key, value in event.details.items()}
    known = {"where": "?", "error": "?", "message": "?", **details, "step": f"{event.step:,}"}
    return words.say(f"note.event.{event.kind.value}", **known)
