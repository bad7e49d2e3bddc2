"""`evengrad run script.py` against `python script.py`, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import evengrad
from evengrad.core.event import EventKind
from evengrad.recording.folder import read_trace
from tests.neutrality.expectations import EXPECTED, QUICK_ALONE
from tests.neutrality.processes import assert_same_streams, run_plain, run_watched

_PACKAGE = Path(evengrad.__file__).parent
_KEYS = {"schema", "verdict", "steps", "findings", "ledger", "overhead", "environment"}


@pytest.mark.parametrize(
    "script", [s if s in QUICK_ALONE else pytest.param(s, marks=pytest.mark.slow) for s in EXPECTED]
)
def test_watched_program_is_the_plain_program(script: str, tmp_path: Path) -> None:
    expected = EXPECTED[script]
    plain, watched = run_plain(script, tmp_path), run_watched(script, tmp_path)
    assert_same_streams(plain, watched)
    assert f'File "{_PACKAGE}' not in watched.stderr, watched.stderr
    if not expected.report:
        return
    report = watched.report
    assert set(report) >= _KEYS
    assert report["schema"] == "evengrad.report/1"
    found = {f["rule"] for f in report["findings"] if f["severity"] != "info"}
    assert report["verdict"] == expected.verdict, report["findings"]
    assert bool(found & expected.rules) == bool(expected.rules), report["findings"]
    assert watched.folder is not None
    trace = read_trace(watched.folder)
    assert not trace.events_of(EventKind.SELF_DISABLED)
    assert trace.steps == report["steps"]
