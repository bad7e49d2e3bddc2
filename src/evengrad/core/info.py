"""What is being trained: modules, parameters, optimizers, source lines, environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceLine:
    """A line of the user's own source."""

    file: str
    line: int
    text: str = ""


@dataclass(frozen=True)
class ModuleInfo:
    """A module of the model, or the model itself (``name == ""``).

    ``defined`` is where the user's code constructed it, ``called`` where it first called it with gradients enabled.
    """

    name: str
    kind: str
    defined: SourceLine | None = None
    called: SourceLine | None = None


@dataclass(frozen=True)
class SiteInfo:
    """A place in the computation that statistics are measured at: a layer or an activation.

    ``name`` is the module's name where a module is the site (``net.0``), or ``module:op`` for an operation that the
    module's own code calls (``fc2:relu``; ``:relu`` in the model's own forward). ``operation`` is autograd's name
    without its suffix (``Sigmoid``, ``Addmm``). ``uses`` counts its applications in one backward pass.
    """

    name: str
    module: str
    operation: str
    source: SourceLine | None = None
    parameters: tuple[str, ...] = ()
    uses: int = 1
    dtype: str = ""  # of the gradient that flows there, "float16"


@dataclass(frozen=True)
class ParamInfo:
    """A parameter held by an optimizer, or met in the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    requires_grad: bool = True
    optimizer: int = -1  # index of its optimizer, -1: in none
    group: int = -1
    module: str = ""

    @property
    def numel(self) -> int:
        """Number of entries."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True)
class OptimizerInfo:
    """An optimizer at its first step: class name and the numbers of each group (``lr``, ``momentum``, ``eps``, …)."""

    index: int
    kind: str
    groups: tuple[Mapping[str, float], ...] = ()
    source: SourceLine | None = None

    @property
    def family(self) -> str:
        """Return ``"adaptive"`` when the step does not scale with the gradient (Adam, RMSprop), else ``"linear"``."""
        kind = self.kind.lower()
        adaptive = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "lamb", "rprop", "adafactor", "sophia", "muon")
        return "adaptive" if any(word in kind for word in adaptive) else "linear"


@dataclass(frozen=True)
class Environment:
    """What the run ran on."""

    torch: str = ""
    python: str = ""
    device: str = "cpu"
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Overhead:
    """The measured cost of watching.

    ``share`` is own seconds over the run's seconds between first and last step; ``budget`` is what was asked for.
    """

    share: float = 0.0
    budget: float = 0.01
    seconds: float = 0.0
    run_seconds: float = 0.0
    light_steps: int = 0
    deep_steps: int = 0
