"""What every act is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from evengrad.core.plan import Change
from evengrad.treatment.live import LiveRun, Undo


class AbstractAct(ABC):
    """Something that can be done to a live run; its module names its instance ``ACT``."""

    @abstractmethod
    def carry_out(self, change: Change, run: LiveRun, undo: Undo) -> None:
        """Carry out one change.

        Weights, groups and random states are put back by a snapshot; ``undo`` is for hooks and the like.

        Args:
            change: What to do.
            run: What to do it on.
            undo: Is told how to take back what the snapshot does not hold.

        Raises:
            TreatmentError: It cannot be done here.
        """
