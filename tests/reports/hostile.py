"""A run whose every string is an attack: on HTML, on Markdown, on a terminal, on Plotly's labels."""

from __future__ import annotations

from evengrad.core.event import EventKind
from evengrad.core.finding import Advice, Cause, CauseKind, Diagnosis, Evidence, Severity
from evengrad.core.info import Environment, SourceLine
from evengrad.core.statistic import Statistic
from tests.builders import TraceBuilder, diagnosis, finding

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = '"></script><img src=x onerror=alert(2)>'
LINK = '<a href="javascript:alert(3)">x</a>'
TERMINAL = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\udcff"
MARKUP = "[bold red]x[/] :skull: {0} {values} %s `code` **b** | <!-- {{ 7*7 }}"
ALL = (SCRIPT, BREAKOUT, LINK, TERMINAL, MARKUP)


def hostile_diagnosis() -> Diagnosis:
    """Return a diagnosis in which every string that a run can choose is hostile."""
    everything = " ".join(ALL)
    builder = (
        TraceBuilder(steps=20, script=everything)
        .layers(*(f"{text}.{index}" for index, text in enumerate(ALL)))
        .activations(*(f"act {text}" for text in ALL), operation=SCRIPT)
        .optimizer(SCRIPT, lr=0.1, **{BREAKOUT: 1.0})
        .series(Statistic.LOSS, "", 1.0)
        .per_layer(Statistic.GRAD_OUTPUT_NORM, first=1e-9, last=1.0)
        .per_layer(Statistic.UPDATE_RATIO, first=1e-9, last=1e-3)
        .per_activation(Statistic.SATURATED, 0.9)
        .ledger(activation=-8.0, weight=-1.0)
        .time_profile(SCRIPT, [1e-9, 1.0])
        .event(EventKind.SCRIPT_ERROR, 19, error=everything)
        .event(EventKind.SELF_DISABLED, 3, where=everything, error=everything)
        .change(environment=Environment(SCRIPT, BREAKOUT, LINK, {SCRIPT: BREAKOUT}))
    )
    made = finding(
        message=everything,
        modules=ALL,
        parameters=ALL,
        source=(SourceLine(everything, 3, everything),),
        evidence=(Evidence(everything, -9.0, -4.0, everything, everything),),
        cause=Cause(CauseKind.ACTIVATION_DERIVATIVE, 0.9, everything),
        advice=(Advice(SCRIPT, everything),),
        consequences=(finding(SCRIPT, Severity.WARNING, message=everything),),
    )
    return diagnosis(builder.build(), made, failed_rules=(everything,))
