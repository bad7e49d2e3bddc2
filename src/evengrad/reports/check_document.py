"""From the result of a check to a document: what every renderer draws, in the reader's language."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from evengrad.checks.result import CheckResult, Note, Prediction, Proposal, Spread
from evengrad.core.finding import Severity, Verdict
from evengrad.reports.bars import gradient_bars
from evengrad.reports.check_tables import check_tables
from evengrad.reports.document import Document
from evengrad.reports.findings import finding_block
from evengrad.reports.ledger_table import guilty_ledger, ledger_table, site
from evengrad.reports.tables import detail_tables
from evengrad.reports.text import Texts, clean, decades, number, texts
from evengrad.reports.values import FindingBlock

FILE: Final = "_check"  # of the texts that stand here alone
_SCALES: Final = ("vanishing-gradient", "exploding-gradient", "bad-initialisation")  # what an initialisation can repair
_STEEP: Final = 1.0  # decades across depth that are worth a ledger, as for a run


def build_check_document(result: CheckResult, lang: str = "en", *, html_path: str = "") -> Document:
    """Return the report on a check.

    Args:
        result: What was found.
        lang: ``"en"`` or ``"zh-TW"``.
        html_path: Where the HTML report is, if the reader should be told.

    Raises:
        UsageError: there are no texts in that language.
    """
    words = texts(lang)
    diagnosis, ledger = result.diagnosis, guilty_ledger(result.diagnosis)
    return Document(
        lang=lang,
        verdict=result.verdict,
        verdict_label=words.say(f"verdict.{result.verdict.value}"),
        headline=_headline(result, words),
        run=_say(words, "subject", subject=clean(result.setup.subject)),
        depth=_depth(result, words),
        loss=_outset(result, words),
        findings=_findings(result, words),
        steep=ledger is not None and abs(ledger.attenuation) >= _STEEP,
        bars=gradient_bars(diagnosis, words),
        ledger=ledger_table(ledger, words) if ledger else None,
        next_step=_say(words, f"next.{result.verdict.value}"),
        overhead=_cost(result, words),
        notes=_notes(result, words),
        tables=(*check_tables(result, words), *detail_tables(result.trace, words)),
        diagnosis=diagnosis,
        html_path=html_path,
    )


def _say(words: Texts, key: str, **values: str) -> str:
    return texts(words.lang, FILE).say(key, **values)


def _headline(result: CheckResult, words: Texts) -> str:
    counts: list[str] = []
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        found = sum(finding.severity is severity for finding in result.findings)
        if found and not (counts and severity is Severity.INFO):
            counts.append(words.count(f"count.{severity.value}", found))
    subject = clean(result.setup.subject)
    key = f"headline.{result.verdict.value}"
    if result.verdict is Verdict.HEALTHY and counts:
        key += ".info"
    return _say(words, key, subject=subject, counts=words.say("list.separator").join(counts))


def _findings(result: CheckResult, words: Texts) -> tuple[FindingBlock, ...]:
    """Return the findings; what to do first about depth is what theory proposes for the very chain."""
    blocks = [finding_block(finding, result.trace, words) for finding in result.findings]
    best = next(iter(result.proposals), None)
    for position, block in enumerate(blocks):
        fits = block.rule in _SCALES and block.severity is not Severity.INFO
        if best is not None and fits and result.findings[position].message_key not in _ELSEWHERE:
            blocks[position] = replace(block, first=_proposal(best, words))
            break
    return tuple(replace(block, when=_say(words, "when")) for block in blocks)


_ELSEWHERE: Final = tuple(
    f"check.{key}" for key in ("identical", "stuck-at-zero", "tokens", "time-explodes", "time-vanishes")
)  # findings of those rules that no weight scale repairs


def _proposal(proposal: Proposal, words: Texts) -> str:
    """Return what an initialisation would do, in a sentence."""
    activation, _, method = proposal.method.rpartition("+")
    values = {
        "method": _say(words, f"method.{method}"),
        "factor": number(proposal.factor),
        "weight": number(proposal.weight_variance),
        "bias": number(proposal.bias_variance),
        "expected": _band(proposal.expected),
        "activation": activation,
        "initialise": f"evengrad.init_(model, '{'critical' if method == 'centred' else method}')",
    }
    if method == "centred":
        return _say(words, "proposal.centred", **values)
    key = "proposal.swap" if activation else "proposal.bias" if proposal.bias_variance > 0 else "proposal"
    return _say(words, key, **values)


def _band(expected: Prediction) -> str:
    """Return an expected attenuation with its finite-width band, ``-0.2 (-1.1 … +0.5)``."""
    middle = expected.attenuation + expected.bias
    if expected.deviation <= 0 or not math.isfinite(expected.low):
        return decades(middle)
    return f"{decades(middle)} ({decades(expected.low)} … {decades(expected.high)})"


def span(spread: Spread) -> str:
    """Return a median with the ends over the seeds, ``-7.7 (-7.7 … -7.5)``; the ends are left out where they agree."""
    if spread.high == spread.low or math.isnan(spread.width) or decades(spread.low) == decades(spread.high):
        return decades(spread.median)
    return f"{decades(spread.median)} ({decades(spread.low)} … {decades(spread.high)})"


def _depth(result: CheckResult, words: Texts) -> str:
    ledger = result.trace.ledgers[0] if result.trace.ledgers else None
    if ledger is None or math.isnan(result.attenuation.median):
        return ""
    values = {"first": site(ledger.first, words), "last": site(ledger.last, words), "seeds": str(result.setup.seeds)}
    # Where branches lie beside the path, its layers alone would read as a far shallower network.
    total = len(result.trace.layers)
    key, count = ("depth.branches", str(ledger.layers)) if ledger.layers < total else ("depth", "")
    layers = count or words.count("count.layers", ledger.layers)
    told = _say(words, key, decades=span(result.attenuation), layers=layers, total=str(total), **values)
    return words.say("list.sentences").join((told, *_expected(result, words)))


def _expected(result: CheckResult, words: Texts) -> tuple[str, ...]:
    if result.prediction is None:
        return ()
    return (_say(words, "predicted", expected=_band(result.prediction), activation=result.prediction.activation),)


def _outset(result: CheckResult, words: Texts) -> str:
    first = result.outset
    if math.isnan(first.loss.median):
        return ""
    if not first.guess > 0:
        return _say(words, "loss", loss=number(first.loss.median))
    times = number(first.loss.median / first.guess)
    classes = str(round(math.exp(first.guess)))
    return _say(words, "loss.guess", loss=number(first.loss.median), times=times, classes=classes)


def _cost(result: CheckResult, words: Texts) -> str:
    setup = result.setup
    return _say(
        words,
        "cost",
        parameters=f"{setup.parameters:,}",
        seeds=str(setup.seeds),
        seconds=number(round(result.seconds, 2)),
    )


def _notes(result: CheckResult, words: Texts) -> tuple[str, ...]:
    told = [] if result.healthy else list(_expected(result, words))
    if result.proposals and not result.healthy:
        told += [_say(words, "also", proposal=_proposal(other, words)) for other in result.proposals[1:2]]
    return (*told, *(_note(note, words) for note in result.notes))


def _note(note: Note, words: Texts) -> str:
    return _say(words, f"note.{note.key}", **{key: clean(value) for key, value in note.values})
