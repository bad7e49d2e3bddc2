"""Run many scripts in one process, each plain and then inside ``evengrad.watch()``; write what differed as JSON.

``python -m tests.neutrality.batch RESULT script…``
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.neutrality.expectations import SCRIPTS


@dataclass
class Outcome:
    """What one pair of runs gave."""

    plain: str = ""
    watched: str = ""
    stderr: str = ""
    watched_stderr: str = ""
    ending: str = ""
    watched_ending: str = ""
    verdict: str = ""
    findings: list[str] = field(default_factory=list)
    failed_rules: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    steps: int = 0


def _execute(script: str) -> tuple[str, str, str]:
    """Run a script as ``__main__``; return its stdout, its stderr and how it ended."""
    out, err, ending = io.StringIO(), io.StringIO(), "returned"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        except SystemExit as exit_:
            ending = f"exit {exit_.code}"
        except Exception:
            ending = traceback.format_exc()
    return out.getvalue(), err.getvalue(), ending


def pair(script: str) -> Outcome:
    """Run one script plain and watched."""
    import evengrad
    from evengrad.core.event import EventKind
    from tests.neutrality.leftovers import Snapshot

    outcome = Outcome()
    outcome.plain, outcome.stderr, outcome.ending = _execute(script)
    before = Snapshot()
    with evengrad.watch() as monitor:
        outcome.watched, outcome.watched_stderr, outcome.watched_ending = _execute(script)
    trace = monitor.trace()
    outcome.leftovers = before.differences()
    diagnosis = evengrad.diagnose(trace)
    outcome.verdict, outcome.steps = diagnosis.verdict.value, trace.steps
    outcome.findings = [f"{f.severity.value} {f.rule}: {f.message}" for f in diagnosis.findings]
    outcome.failed_rules = list(diagnosis.failed_rules)
    outcome.disabled = [str(event) for event in trace.events_of(EventKind.SELF_DISABLED)]
    return outcome


def main() -> None:
    """Run the scripts that the command line names."""
    sys.path.insert(0, str(SCRIPTS))
    result, *scripts = sys.argv[1:]
    outcomes = {}
    for script in scripts:
        outcomes[script] = asdict(pair(script))
        Path(result).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main()
