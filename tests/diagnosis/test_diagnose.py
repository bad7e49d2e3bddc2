"""What a diagnosis says of a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from evengrad.core.event import EventKind
from evengrad.core.finding import Finding, Severity, Verdict
from evengrad.core.statistic import Statistic
from evengrad.core.trace import Trace
from evengrad.diagnosis.diagnose import catalogue_rules, diagnose
from evengrad.rules._base import AbstractRule
from tests.builders import TraceBuilder, deep_sigmoid, finding, healthy_mlp


@dataclass(frozen=True)
class Says(AbstractRule):
    """Says what it is told to say."""

    found: tuple[Finding, ...] = ()
    messages: ClassVar[Mapping[str, str]] = {}

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        return self.found


@dataclass(frozen=True)
class Breaks(AbstractRule):
    """Raises."""

    messages: ClassVar[Mapping[str, str]] = {}

    def judge(self, trace: Trace) -> tuple[Finding, ...]:
        raise ZeroDivisionError("no such layer")


def test_rule_that_raises_is_listed_and_leaves_the_others_their_say() -> None:
    rules = {"breaks": Breaks(), "says": Says((finding("dead-units"),))}
    diagnosis = diagnose(TraceBuilder().build(), rules)
    assert diagnosis.failed_rules == ("breaks",)
    assert [found.rule for found in diagnosis.findings] == ["dead-units"]


def test_verdict_needs_a_warning_to_be_sick() -> None:
    info, warning = (finding(severity=severity) for severity in (Severity.INFO, Severity.WARNING))
    assert diagnose(TraceBuilder().build(), {"says": Says((info,))}).verdict is Verdict.HEALTHY
    assert diagnose(TraceBuilder().build(), {"says": Says((warning,))}).verdict is Verdict.SICK


def test_verdict_is_unknown_without_a_step() -> None:
    diagnosis = diagnose(TraceBuilder(steps=0).build())
    assert (diagnosis.verdict, diagnosis.findings, diagnosis.failed_rules) == (Verdict.UNKNOWN, (), ())


def test_deep_sigmoid_is_one_finding() -> None:
    diagnosis = diagnose(deep_sigmoid())
    assert diagnosis.verdict is Verdict.SICK
    assert [found.rule for found in diagnosis.findings] == ["vanishing-gradient"]


def test_healthy_run_has_no_finding() -> None:
    diagnosis = diagnose(healthy_mlp())
    assert (diagnosis.verdict, diagnosis.findings, diagnosis.failed_rules) == (Verdict.HEALTHY, (), ())


def test_every_rule_of_the_catalogue_bears_an_empty_trace() -> None:
    bare = Trace(steps=10)
    assert diagnose(bare).failed_rules == ()
    assert diagnose(bare).verdict is Verdict.HEALTHY


def test_every_rule_of_the_catalogue_bears_a_trace_of_nan() -> None:
    built = TraceBuilder(steps=20).mlp(3).optimizer("Adam", lr=1e-3).event(EventKind.NON_FINITE_LOSS, 0, count=20)
    for statistic in Statistic:
        subjects = {
            "run": [""], "parameter": ["net.0.weight", "net.2.weight"], "module": ["net.0", "net.2"],
            "activation": ["net.1"], "optimizer": ["0/0"],
        }[statistic.scope.value]  # fmt: skip
        for subject in subjects:
            built.series(statistic, subject, float("nan"))
    assert diagnose(built.build()).failed_rules == ()


def test_catalogue_holds_all_seventeen_rules() -> None:
    assert len(catalogue_rules()) == 17
    assert all(rule.id == name for name, rule in catalogue_rules().items())
