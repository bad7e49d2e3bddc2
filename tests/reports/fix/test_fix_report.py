"""What a report on a fix says, in a terminal, as JSON, and as a page."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from evengrad.core.finding import Diagnosis, Finding, Severity, Verdict
from evengrad.core.plan import Act, Change, Plan, Risk
from evengrad.core.trace import Trace
from evengrad.core.trial import (
    ArmResult,
    Cost,
    Curve,
    Effect,
    Ending,
    Fix,
    Instruction,
    Outcome,
    Role,
    Symptom,
)
from evengrad.reports.fix.document import build_fix_document, effect_text
from evengrad.reports.fix.json_form import render_fix_json
from evengrad.reports.fix.page import render_fix_html
from evengrad.reports.fix.terminal import render_fix_terminal

PLAN = Plan((Change("he-init", Act.INITIALISE, Risk.INITIALISATION, (("method", "he"),)),))
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"
DIFF = f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a = 1\n+\ta = 2  # {HOSTILE}\n"


def curve(seed: int, level: float) -> Curve:
    return Curve(seed, tuple(level * (1 + 0.01 * step) for step in range(40)))


def made() -> Fix:
    finding = Finding("vanishing-gradient", Severity.ERROR, f"The gradient falls {HOSTILE}.")
    diagnosis = Diagnosis(Verdict.SICK, Trace(steps=40, script=f"train{HOSTILE}.py"), (finding,))
    effect = Effect(math.log(0.1), math.log(0.05), math.log(0.2), 3, 0.975)
    broken = Curve(0, (1.0, math.nan), error=f"ValueError: {HOSTILE}")
    arms = (
        ArmResult("nothing", Role.CONTROL, curves=(curve(0, 2.3),)),
        ArmResult("another seed", Role.CONTROL, curves=(curve(1, 2.2), curve(2, 2.4)), symptom=Symptom.THERE),
        ArmResult(
            "he-init", Role.CANDIDATE, PLAN, Outcome.BETTER, Symptom.GONE, effect, (curve(0, 0.2), curve(1, 0.3))
        ),
        ArmResult("relu", Role.RANDOM, Plan(), Outcome.BROKEN, Symptom.UNKNOWN, None, (broken,), note="broken"),
    )
    return Fix(
        Ending.PROVEN,
        diagnosis,
        arms,
        PLAN,
        verified=True,
        diff=DIFF,
        patched="/x/patched/train.py",
        instructions=(Instruction(PLAN, f"write {HOSTILE} by hand"),),
        horizon=40,
        cost=Cost(12.5, 3.0, 6.0, 1.0, 100, 800, 12, 2),
        files=("/x/train.py",),
    )


def terminal(fix: Fix, lang: str = "en", width: int = 120) -> str:
    stream = io.StringIO()
    render_fix_terminal(build_fix_document(fix, lang), Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_every_ending_is_said_in_every_language(ending: Ending, lang: str) -> None:
    document = build_fix_document(replace(made(), ending=ending), lang)
    said = terminal(replace(made(), ending=ending), lang)
    for text in (document.badge, document.headline, said):
        assert "badge." not in text
        assert "head." not in text
        assert "label." not in text
    assert render_fix_html(document).startswith("<!DOCTYPE html>")


def test_nothing_of_the_run_steers_the_terminal_or_the_page() -> None:
    said, page = terminal(made()), render_fix_html(build_fix_document(made()))
    for text in (said, page):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>alert" not in page


def test_the_terminal_shows_change_proof_and_arms() -> None:
    said = terminal(made())
    assert "×0.1 [0.05, 0.2]" in said
    assert "+    a = 2" in said
    assert "same 40 losses to the bit" in " ".join(said.split())
    assert "nothing, other seeds" in said
    assert "12.5 s" in said
    assert "2 runs were taken from an earlier call" in " ".join(said.split())


def test_the_quantity_is_said_in_the_reader_s_language() -> None:
    assert "後期損失變為 0.1 倍" in terminal(made(), "zh-TW")
    assert "97.5 % confidence" in " ".join(terminal(made()).split())


def test_the_json_part_keeps_its_contract() -> None:
    told = json.loads(render_fix_json(made()))
    fix = told["fix"]
    assert told["schema"] == "evengrad.report/1"
    assert {"verified", "remedies", "patched_script", "diff", "trials"} <= set(fix)
    assert fix["verified"] is True
    assert fix["remedies"] == ["he-init"]
    assert fix["patched_script"] == "/x/patched/train.py"
    winner = next(arm for arm in fix["trials"] if arm["verdict"] == "better")
    assert winner["effect"]["estimate"] == pytest.approx(math.log(0.1))
    assert fix["cost"]["runs"] == 12


def test_a_fix_without_a_change_has_no_diff_and_no_patched_script() -> None:
    healthy = Fix(Ending.HEALTHY, Diagnosis(Verdict.HEALTHY, Trace(steps=10, script="train.py")))
    told = json.loads(render_fix_json(healthy))["fix"]
    assert (told["patched_script"], told["diff"], told["trials"], told["remedies"]) == (None, "", [], [])
    assert "nothing to fix" in terminal(healthy)


def test_effects_that_have_no_size_are_said_in_words() -> None:
    saved = Effect(-math.inf, -math.inf, 0.0, 3, 0.975)
    assert effect_text(saved) == "finite"
    assert effect_text(None) == ""
    fix = made()
    arms = tuple(replace(arm, effect=saved) if arm.effect else arm for arm in fix.arms)
    assert "stayed finite" in " ".join(terminal(replace(fix, arms=arms)).split())


def test_the_page_has_a_line_and_a_band_for_each_arm_with_seeds() -> None:
    page = render_fix_html(build_fix_document(made()))
    assert '"fill":"toself"' in page
    assert 'class="added"' in page
    assert 'class="removed"' in page
