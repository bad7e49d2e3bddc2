"""What probes receive and return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch.autograd.graph import Node
from torch.optim import Optimizer

from evengrad.core.statistic import Statistic
from evengrad.probes._sizes import Number


@dataclass(frozen=True)
class Reading:
    """One measured number."""

    statistic: Statistic
    subject: str
    value: Number


@dataclass(frozen=True, eq=False)
class NodeView:
    """An operation of the autograd graph, before the backward pass runs through it.

    ``readable`` is False where saved tensors must not be unpacked (hooks such as activation checkpointing's own them).
    ``site`` is the name of the layer or activation site that the operation is, or "". ``spatial``: units are channels
    (the data comes from a convolution), not last-dimension features.
    """

    node: Node
    operation: str
    site: str
    readable: bool
    spatial: bool = False

    def saved(self, name: str) -> Tensor | None:
        """Return a saved tensor by name; None when there is none, or it must not or can no longer be read."""
        if not self.readable or not hasattr(self.node, f"_saved_{name}"):
            return None
        try:
            value = getattr(self.node, f"_saved_{name}")
        except RuntimeError:  # freed, or modified in place since
            return None
        return value if isinstance(value, Tensor) else None

    def attribute(self, name: str, default: float) -> float:
        """Return a saved number by name, or the default."""
        try:
            value = getattr(self.node, f"_saved_{name}", default)
        except RuntimeError:
            return default
        return float(value) if isinstance(value, (int, float)) else default


@dataclass(eq=False)
class StepView:
    """An optimizer step: the optimizer, its parameters by name, and what probes keep between before and after."""

    optimizer: Optimizer
    parameters: Mapping[str, Tensor]
    groups: Mapping[str, Mapping[str, object]]  # parameter name -> its param group
    scale: float = 1.0  # loss scale that is still in the gradients
    kept: dict[str, Tensor] = field(default_factory=dict)


class AbstractNodeProbe(ABC):
    """Reads operations of the graph just before a backward pass."""

    @abstractmethod
    def read(self, view: NodeView) -> Iterator[Reading]:
        """Yield what can be read at this operation; nothing where the probe does not apply."""


class AbstractStepProbe(ABC):
    """Reads parameters round an optimizer step."""

    @abstractmethod
    def before(self, step: StepView) -> Iterator[Reading]:
        """Yield what can be read when gradients are ready; may keep copies in ``step.kept``."""

    @abstractmethod
    def after(self, step: StepView) -> Iterator[Reading]:
        """Yield what can be read when the optimizer has stepped."""
