"""Every exception that evengrad raises on purpose.

EvengradError
├── UsageError          the call or the command line is wrong (exit code 2)
│   └── ScriptError     the user's script cannot be read or compiled
├── TraceError          a trace lacks what was asked of it
├── RunFolderError      a run folder or report cannot be read (exit code 3)
│   └── SchemaError     a file carries another schema than expected
├── PatchError          a change cannot be written into the source safely; says what to write by hand
├── TreatmentError      a change cannot be carried out on a live run
├── WatchError          a live run cannot be watched
└── TrialError          a trial cannot be run
"""

from __future__ import annotations


class EvengradError(Exception):
    """Base of every error that evengrad raises on purpose."""

    exit_code = 3


class UsageError(EvengradError):
    """The call or the command line is wrong."""

    exit_code = 2


class ScriptError(UsageError):
    """The user's script cannot be read or compiled."""


class TraceError(EvengradError):
    """A trace lacks what was asked of it."""


class RunFolderError(EvengradError):
    """A run folder, or a file in it, cannot be read."""


class SchemaError(RunFolderError):
    """A file carries another schema than the one expected."""


class PatchError(EvengradError):
    """A change cannot be written into the source safely; the message says what to write by hand."""


class TreatmentError(EvengradError):
    """A change cannot be carried out on a live run."""


class WatchError(EvengradError):
    """A live run cannot be watched."""


class TrialError(EvengradError):
    """A trial cannot be run."""
