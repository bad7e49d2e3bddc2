"""From a fix to what its report says, in the reader's language."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from evengrad.core.finding import Severity
from evengrad.core.trial import ArmResult, Effect, Ending, Fix, Outcome, Role, Symptom
from evengrad.reports.document import run_name
from evengrad.reports.text import Texts, clean, number, texts
from evengrad.reports.values import Table

BOOK: Final = "_fix"
_LATE: Final = 0.1  # share of the steps that the table's loss is taken over


@dataclass(frozen=True)
class FixDocument:
    """What a report on a fix says.

    Attributes:
        lang: Its language.
        badge: The ending in a word or two.
        headline: The ending in a sentence.
        faults: What is wrong, a sentence for each fault.
        proof: Why the change is recommended, or why none is.
        table: The arms.
        diff: The change; "".
        patched: Where the patched copy is; "".
        apply: How to apply it, or what it was applied to; "".
        hand: What could not be written into the source.
        cost: What it cost.
        html_path: Where the HTML report is, if the reader should be told.
        fix: What it is about.
    """

    lang: str
    badge: str
    headline: str
    faults: tuple[str, ...]
    proof: tuple[str, ...]
    table: Table | None
    diff: str
    patched: str
    apply: str
    hand: tuple[str, ...]
    cost: str
    html_path: str
    fix: Fix

    @property
    def script(self) -> str:
        """What was fixed."""
        return clean(self.fix.diagnosis.trace.script)


def build_fix_document(fix: Fix, lang: str = "en", *, applied_to: str = "", html_path: str = "") -> FixDocument:
    """Return the report on a fix.

    Args:
        fix: What came out.
        lang: ``"en"`` or ``"zh-TW"``.
        applied_to: Folder that holds what the changed files held before; "" when nothing was applied.
        html_path: Where the HTML report is, if the reader should be told.

    Raises:
        UsageError: there are no texts in that language.
    """
    words = texts(lang, BOOK)
    script = clean(fix.diagnosis.trace.script).strip() or words.say("word.script")
    run = run_name(fix.diagnosis.trace, words)
    change = " + ".join(fix.chosen.remedies)
    return FixDocument(
        lang=lang,
        badge=words.say(f"badge.{fix.ending.value}"),
        headline=words.say(f"head.{fix.ending.value}", script=script, run=run, change=change),
        faults=_faults(fix, words),
        proof=_proof(fix, words),
        table=_table(fix, words) if fix.arms else None,
        diff=fix.diff,
        patched=fix.patched,
        apply=_apply(fix, applied_to, words),
        hand=tuple(words.say("hand.line", plan=str(i.plan), text=clean(i.text)) for i in fix.instructions),
        cost=_cost(fix, words),
        html_path=html_path,
        fix=fix,
    )


def _faults(fix: Fix, words: Texts) -> tuple[str, ...]:
    found = [finding for finding in fix.diagnosis.findings if finding.severity is not Severity.INFO]
    said = [words.say("fault", rule=finding.rule, message=words.message(finding)) for finding in found]
    if fix.problem:
        said.append(words.say("problem", error=clean(fix.problem)))
    return tuple(said)


def _proof(fix: Fix, words: Texts) -> tuple[str, ...]:
    winner = fix.winner
    if winner is None:
        return (words.say("evidence.none"),) if fix.ending is Ending.NO_EVIDENCE else ()
    said = [] if winner.effect is None else [_effect_sentence(winner.effect, fix.horizon, words)]
    if winner.symptom in (Symptom.GONE, Symptom.WEAKER):
        said.append(words.say(f"proof.symptom.{winner.symptom.value}"))
    if winner.endured > fix.horizon:
        said.append(words.say("proof.endured", steps=f"{winner.endured:,}"))
    if winner.outcome is Outcome.MENDED:
        said.append(words.say("proof.mended"))
    steps = f"{winner.curves[0].steps:,}" if winner.curves else "0"
    said.append(words.say("proof.verified" if fix.verified else "proof.unverified", steps=steps))
    if fix.after:
        said.append(words.say("proof.after", rules=words.say("list.separator").join(fix.after)))
    return tuple(said)


def _effect_sentence(effect: Effect, steps: int, words: Texts) -> str:
    key = f"quantity.{effect.quantity}"
    name = words.say(key)
    blanks = {
        "quantity": clean(effect.quantity) if name == key else name,
        "confidence": f"{100 * effect.confidence:g} %",
        "seeds": str(effect.seeds),
        "steps": f"{steps:,}",
    }
    if math.isinf(effect.estimate):
        return words.say("proof.saved", **blanks)
    ends = (effect.estimate, effect.low, effect.high)
    if effect.scale == "log":
        ratio, low, high = (number(math.exp(min(end, _LARGEST))) for end in ends)
        return words.say("proof.log", ratio=ratio, low=low, high=high, **blanks)
    estimate, low, high = (number(end) for end in ends)
    return words.say("proof.plain", estimate=estimate, low=low, high=high, **blanks)


_LARGEST: Final = 700.0  # beyond it, exp overflows a double


def _table(fix: Fix, words: Texts) -> Table:
    keys = ("arm", "outcome", "loss", "effect", "finding", "seeds", "note.column")
    columns = tuple(words.say(f"table.{key}") for key in keys)
    rows = tuple(_row(arm, words) for arm in fix.arms)
    note = words.say("table.note", steps=f"{fix.horizon:,}")
    return Table(words.say("table.title"), columns, rows, note)


def _row(arm: ArmResult, words: Texts) -> tuple[str, ...]:
    name = clean(arm.name)
    if arm.role is Role.CONTROL:
        name = words.say(f"arm.{arm.name}")
    elif arm.role is Role.RANDOM:
        name = words.say("arm.random", name=name)
    error = next((curve.error for curve in arm.curves if curve.error), "")
    control = arm.outcome is None
    return (
        name,
        words.say(f"outcome.{'control' if arm.outcome is None else arm.outcome.value}"),
        number(late(arm)),
        effect_text(arm.effect),
        "" if control and arm.symptom is Symptom.UNKNOWN else words.say(f"symptom.{arm.symptom.value}"),
        str(len(arm.curves)),
        words.say(f"note.{arm.note}", error=clean(error)) if arm.note else "",
    )


def late(arm: ArmResult) -> float:
    """Return the late loss of an arm on its first seed; nan when there is none."""
    losses = arm.curves[0].losses if arm.curves else ()
    window = sorted(loss for loss in losses[-max(1, math.ceil(_LATE * len(losses))) :])
    finite = [loss for loss in window if math.isfinite(loss)]
    return finite[len(finite) // 2] if 2 * len(finite) > len(window) else math.nan


def effect_text(effect: Effect | None) -> str:
    """Return an effect in a cell: a factor with its interval, or a difference."""
    if effect is None or math.isnan(effect.estimate):
        return ""
    if math.isinf(effect.estimate):
        return "finite" if effect.estimate < 0 else "not finite"
    ends = (effect.estimate, effect.low, effect.high)
    if effect.scale == "log":
        middle, low, high = (number(math.exp(min(end, _LARGEST))) for end in ends)
        return f"×{middle} [{low}, {high}]"
    middle, low, high = (number(end) for end in ends)
    return f"{middle} [{low}, {high}]"


def _apply(fix: Fix, applied_to: str, words: Texts) -> str:
    if not fix.diff:
        return ""
    if not applied_to:
        return words.say("apply.line") if fix.verified else ""
    files = words.say("list.separator").join(clean(path) for path in fix.files)
    return words.say("applied.line", files=files, backup=clean(applied_to))


def _cost(fix: Fix, words: Texts) -> str:
    cost = fix.cost
    known = cost.diagnosis_seconds + cost.trial_seconds + cost.verify_seconds
    said = words.say(
        "cost",
        seconds=f"{cost.seconds:.1f}",
        diagnosis=f"{cost.diagnosis_seconds:.1f}",
        steps=f"{cost.diagnosis_steps:,}",
        trials=f"{cost.trial_seconds:.1f}",
        trial_steps=f"{cost.trial_steps:,}",
        runs=f"{cost.runs:,}",
        verify=f"{cost.verify_seconds:.1f}",
        rest=f"{max(0.0, cost.seconds - known):.1f}",
    )
    if cost.resumed:
        said += words.say("list.sentences.gap") + words.say("cost.resumed", number=f"{cost.resumed:,}")
    return said
