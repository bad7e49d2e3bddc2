"""A rule, or a part of the reports, that raises when the run is over: the user gets the rest, and one line."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import evengrad
from evengrad.cli.conclusion import conclude
from evengrad.cli.options import Language, Options
from evengrad.core.trace import Trace
from evengrad.diagnosis.diagnose import catalogue_rules, diagnose
from evengrad.recording.folder import RunFolder
from tests.neutrality.injection import MESSAGE, Fault, Target, targets

_SCRIPT = Path(__file__).with_name("faulty_script.py")
_ENTRIES = ("judge", "diagnose", "build_document", "render_terminal", "render_json", "render_html", "render_markdown")
_AFTER = [t for t in targets() if t.module.split(".")[1] in ("rules", "diagnosis", "reports")]


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Return the trace of a short run that ends badly."""
    with evengrad.watch() as monitor, pytest.raises(SystemExit):
        runpy.run_path(str(_SCRIPT), run_name="__main__")
    return monitor.trace()


def _options(folder: Path) -> Options:
    return Options(
        budget=0.01,
        steps=None,
        started_in=folder,
        base=folder,
        json=None,
        html=None,
        fail_on=None,
        language=Language.EN,
        quiet=False,
    )


@pytest.mark.parametrize(
    "target", [t if t.name in _ENTRIES else pytest.param(t, marks=pytest.mark.slow) for t in _AFTER], ids=str
)
def test_a_fault_is_one_line_and_the_rest_of_the_report_stands(
    target: Target, trace: Trace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create("script.py", tmp_path)
    with Fault(target) as fault:
        assert conclude(trace, folder, _options(tmp_path), None) is False
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("evengrad: ") and MESSAGE in line]
    # Text and JSON are built apart: what both need is missed twice, and each says so once.
    assert len(lines) <= (2 if target.module.startswith("evengrad.reports") else 1), lines
    assert len(set(lines)) == len(lines)
    if fault.raised and not lines:
        # What broke was a rule: the report itself has to say so.
        assert target.module.startswith("evengrad.rules"), target
        assert "could not be judged" in err or "failed" in err, err


@pytest.mark.parametrize("rule", catalogue_rules())
def test_a_broken_rule_leaves_the_others_alone(rule: str, trace: Trace) -> None:
    healthy = diagnose(trace, {name: item for name, item in catalogue_rules().items() if name != rule})
    kind = type(catalogue_rules()[rule])
    with Fault(Target(kind.__module__, kind.__name__, "judge")) as fault:
        diagnosis = diagnose(trace)
    assert fault.raised == 1
    assert diagnosis.failed_rules == (rule,)
    assert diagnosis.findings == healthy.findings
