"""The ledger of the guilty path in words: what each kind of operation took, and which operations took most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from evengrad.core.finding import Diagnosis, Finding
from evengrad.core.info import SourceLine
from evengrad.core.ledger import EntryKind, Ledger, LedgerEntry
from evengrad.reports.text import Texts, clean, decades
from evengrad.reports.values import LedgerRow, LedgerTable

_WORST: Final = 5  # operations that are listed by name
DECADES: Final = "decades"  # of the evidence that is an attenuation
_NOTHING: Final = 0.05  # decades that show as 0.0: not worth a place in the sentence

# Autograd's names, as people call the operations.
_SPOKEN: Final = {
    "addmm": "linear",
    "mm": "linear",
    "linear": "linear",
    "convolution": "convolution",
    "mkldnnconvolution": "convolution",
    "cudnnconvolution": "convolution",
    "relu": "ReLU",
    "leakyrelu": "leaky ReLU",
    "prelukernel": "PReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "nativelayernorm": "layer norm",
    "nativebatchnorm": "batch norm",
    "nativegroupnorm": "group norm",
    "cudnnbatchnorm": "batch norm",
    "bmm": "matrix product",
    "mul": "multiplication",
    "add": "addition",
}


def guilty_ledger(diagnosis: Diagnosis) -> Ledger | None:
    """Return the ledger that a report shows: the one that the worst finding rests on, else the last one."""
    ledgers = [ledger for ledger in diagnosis.trace.ledgers if ledger.entries or ledger.attenuation == -math.inf]
    if not ledgers:
        return None
    worst = diagnosis.findings[0] if diagnosis.findings else None
    if worst is None:
        return max(ledgers, key=lambda ledger: ledger.step)
    return min(ledgers, key=lambda ledger: _distance(ledger, worst))


def _distance(ledger: Ledger, finding: Finding) -> tuple[bool, bool, float, bool, int]:
    """Return how badly a ledger fits a finding: says nothing, off its path, another total, before it, far from it.

    A rule takes the typical ledger of several probes; the report must show the numbers that the rule speaks of.
    """
    named = bool({ledger.first, ledger.last} & {*finding.modules, *(row.subject for row in finding.evidence)})
    totals = [row.measured for row in finding.evidence if row.unit == DECADES and row.subject in ("", ledger.first)]
    return (
        math.isnan(ledger.attenuation),
        not named,
        min((_difference(ledger.attenuation, total) for total in totals), default=0.0),
        ledger.step < finding.first_step,
        abs(ledger.step - finding.first_step),
    )


def _difference(one: float, other: float) -> float:
    """Return how far two totals differ; infinities of one sign not at all, a nan from anything beyond measure."""
    if one == other:
        return 0.0
    difference = abs(one - other)
    return math.inf if math.isnan(difference) else difference


def ledger_table(ledger: Ledger, texts: Texts) -> LedgerTable:
    """Return a ledger in words."""
    kinds = sorted(by_spoken_kind(ledger, texts).items(), key=lambda item: -abs(item[1]))
    worst, rest = _worst(ledger, texts)
    ends = {"first": site(ledger.first, texts), "last": site(ledger.last, texts)}
    return LedgerTable(
        title=texts.say("ledger.title", step=f"{ledger.step:,}", **ends),
        sentence=_sentence(ledger, kinds, texts),
        kinds=tuple(LedgerRow(label, "", value, decades(value)) for label, value in kinds),
        worst=worst,
        rest=rest,
    )


def site(name: str, texts: Texts) -> str:
    """Return a site's name; a word for the model itself, whose name is empty."""
    return clean(name) or texts.say("word.model")


def spoken(operation: str) -> str:
    """Return autograd's name of an operation as people say it, ``Addmm`` → ``linear``."""
    plain = clean(operation).removesuffix("Backward")
    return _SPOKEN.get(plain.lower(), plain.lower())


def by_spoken_kind(ledger: Ledger, texts: Texts) -> dict[str, float]:
    """Return decades by kind; activations go by their name when all on the path are of one sort."""
    operations = {entry.operation for entry in ledger if entry.kind is EntryKind.ACTIVATION}
    sums: dict[str, float] = {}
    for kind, value in ledger.by_kind().items():
        label = texts.say(f"kind.{kind.value}")
        if kind is EntryKind.ACTIVATION and len(operations) == 1:
            label = texts.say("kind.activation.named", operation=spoken(next(iter(operations))))
        sums[label] = value
    return sums


def _sentence(ledger: Ledger, kinds: Sequence[tuple[str, float]], texts: Texts) -> str:
    names = {"first": site(ledger.first, texts), "last": site(ledger.last, texts)}
    if ledger.attenuation == -math.inf:
        zero = next((entry for entry in ledger if entry.decades == -math.inf), None)
        where = site(zero.module, texts) if zero else names["last"]
        return texts.say("ledger.sentence.zero", where=where, **names)
    if not math.isfinite(ledger.attenuation):
        return texts.say("ledger.sentence.non-finite", **names)
    told = [(label, value) for label, value in kinds if abs(value) >= _NOTHING] or list(kinds[:1])
    parts = texts.say("list.separator").join(f"{label} {decades(value)}" for label, value in told)
    sentence = texts.say("ledger.sentence", total=decades(ledger.attenuation), parts=parts, **names)
    if ledger.steps_in_time > 1:
        sentence = f"{sentence} {texts.say('ledger.in-time', uses=f'{ledger.steps_in_time:,}')}"
    return sentence


def _worst(ledger: Ledger, texts: Texts) -> tuple[tuple[LedgerRow, ...], LedgerRow | None]:
    """Return the entries that did most, largest first, and the sum of all the others."""
    # Behind an operation that lets nothing through there is nothing to measure.
    measured = [e for e in ledger if not (math.isnan(e.decades) and ledger.attenuation == -math.inf)]
    entries = sorted(_joined(measured), key=lambda entry: -_size(entry.decades))
    # One row in place of "1 other" would be as long.
    shown = entries if len(entries) <= _WORST + 1 else entries[:_WORST]
    others = entries[len(shown) :]
    rows = tuple(entry_row(entry, texts) for entry in shown)
    if not others:
        return rows, None
    total = math.fsum(entry.decades for entry in others if math.isfinite(entry.decades))
    return rows, LedgerRow(texts.say("ledger.rest", number=f"{len(others):,}"), "", total, decades(total))


def _joined(ledger: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries, those of the same operation of the same module as one, in path order."""
    found: dict[tuple[str, str, SourceLine | None], LedgerEntry] = {}
    for entry in ledger:
        key = (entry.module, entry.operation, entry.source)
        known = found.get(key)
        if known is None:
            found[key] = entry
        else:
            found[key] = replace(known, decades=known.decades + entry.decades, scale=None, uses=known.uses + entry.uses)
    return list(found.values())


def _size(value: float) -> float:
    return math.inf if math.isnan(value) else abs(value)


def entry_row(entry: LedgerEntry, texts: Texts) -> LedgerRow:
    """Return one entry as a row."""
    where = f"{clean(entry.source.file)}:{entry.source.line}" if entry.source else ""
    operation = spoken(entry.operation) + (f" ×{entry.uses:,}" if entry.uses > 1 else "")
    return LedgerRow(site(entry.module, texts), operation, entry.decades, decades(entry.decades, 2), where)
