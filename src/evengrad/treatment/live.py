"""What a plan is carried out on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from evengrad.errors import TreatmentError
from evengrad.observation.registry import cleaned, unwrapped
from evengrad.treatment.initialisation.tracing import Batch


@dataclass(frozen=True, eq=False)
class LiveRun:
    """A model before its next step.

    Attributes:
        model: The model.
        optimizer: What trains it; acts on gradients and rates need it.
        batch: What the model takes, for acts that have to see it work: a tensor, a tuple, a dict, or a function of it.
    """

    model: nn.Module
    optimizer: Optimizer | None = None
    batch: Batch | None = None

    @property
    def root(self) -> nn.Module:
        """The user's own module inside compile and distribution wrappers."""
        return unwrapped(self.model)

    @property
    def named(self) -> dict[str, nn.Module]:
        """Modules by every name that they have, without what wrappers put into it."""
        return {cleaned(name): module for name, module in self.root.named_modules(remove_duplicate=False)}

    def module(self, name: str) -> nn.Module:
        """Return a module by name.

        Raises:
            TreatmentError: The model has none of that name.
        """
        found = self.named.get(name)
        if found is None:
            raise TreatmentError(f"the model has no module `{name}` (it has: {', '.join(list(self.named)[1:7])}, ...)")
        return found

    def required_optimizer(self, what: str) -> Optimizer:
        """Return the optimizer.

        Raises:
            TreatmentError: None was given.
        """
        if self.optimizer is None:
            raise TreatmentError(f"{what} acts on the optimizer's step: apply(plan, model, optimizer)")
        return self.optimizer

    def required_batch(self, what: str) -> Batch:
        """Return the batch.

        Raises:
            TreatmentError: None was given.
        """
        if self.batch is None:
            raise TreatmentError(f"{what} has to see the model work: apply(plan, model, optimizer, batch=...)")
        return self.batch


@dataclass(eq=False)
class Undo:
    """How to take back what was done, last things first."""

    _steps: list[Callable[[], object]] = field(default_factory=list)

    def add(self, step: Callable[[], object]) -> None:
        """Note how one thing is taken back."""
        self._steps.append(step)

    def run(self) -> None:
        """Take everything back; a second call does nothing."""
        while self._steps:
            self._steps.pop()()
