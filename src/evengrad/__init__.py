"""Finds vanishing and exploding gradients in a PyTorch training run: where, since which step, and why.

```python
with evengrad.watch(model, optimizer) as monitor:
    train()
evengrad.report(evengrad.diagnose(monitor.trace()))
```

Importing this package defines names and does nothing else: torch and numpy are loaded with the first name that needs
them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evengrad import theory
    from evengrad.checks.check import check
    from evengrad.checks.result import CheckResult
    from evengrad.core.event import Event, EventKind
    from evengrad.core.finding import Cause, CauseKind, Diagnosis, Evidence, Finding, Severity, Verdict
    from evengrad.core.ledger import Ledger, LedgerEntry
    from evengrad.core.plan import Act, Change, Plan, Risk
    from evengrad.core.statistic import Statistic
    from evengrad.core.trace import Series, Trace
    from evengrad.core.trial import ArmResult, Outcome, TrialResult
    from evengrad.diagnosis.diagnose import diagnose
    from evengrad.errors import EvengradError
    from evengrad.observation.monitor import Monitor
    from evengrad.observation.watch import watch
    from evengrad.recording.folder import read_trace
    from evengrad.remedies.prescribe import prescribe
    from evengrad.reports.report import report
    from evengrad.treatment.apply import Applied, apply
    from evengrad.treatment.initialisation.initialise import init_
    from evengrad.treatment.initialisation.report import InitReport
    from evengrad.trials.trial import trial

__version__ = "0.1.0"

__all__ = [
    "Act",
    "Applied",
    "ArmResult",
    "Cause",
    "CauseKind",
    "Change",
    "CheckResult",
    "Diagnosis",
    "EvengradError",
    "Event",
    "EventKind",
    "Evidence",
    "Finding",
    "InitReport",
    "Ledger",
    "LedgerEntry",
    "Monitor",
    "Outcome",
    "Plan",
    "Risk",
    "Series",
    "Severity",
    "Statistic",
    "Trace",
    "TrialResult",
    "Verdict",
    "apply",
    "check",
    "diagnose",
    "init_",
    "prescribe",
    "read_trace",
    "report",
    "theory",
    "trial",
    "watch",
]

_HOMES = {
    "evengrad.checks.check": ("check",),
    "evengrad.checks.result": ("CheckResult",),
    "evengrad.core.event": ("Event", "EventKind"),
    "evengrad.core.finding": ("Cause", "CauseKind", "Diagnosis", "Evidence", "Finding", "Severity", "Verdict"),
    "evengrad.core.ledger": ("Ledger", "LedgerEntry"),
    "evengrad.core.plan": ("Act", "Change", "Plan", "Risk"),
    "evengrad.core.statistic": ("Statistic",),
    "evengrad.core.trace": ("Series", "Trace"),
    "evengrad.core.trial": ("ArmResult", "Outcome", "TrialResult"),
    "evengrad.diagnosis.diagnose": ("diagnose",),
    "evengrad.errors": ("EvengradError",),
    "evengrad.observation.monitor": ("Monitor",),
    "evengrad.observation.watch": ("watch",),
    "evengrad.recording.folder": ("read_trace",),
    "evengrad.remedies.prescribe": ("prescribe",),
    "evengrad.reports.report": ("report",),
    "evengrad.treatment.apply": ("Applied", "apply"),
    "evengrad.treatment.initialisation.initialise": ("init_",),
    "evengrad.treatment.initialisation.report": ("InitReport",),
    "evengrad.trials.trial": ("trial",),
}
_SUBPACKAGES = ("theory",)
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names and what is already loaded."""
    return sorted({*globals(), *__all__})
