"""What stands before and after a layer, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from evengrad.theory.activation import Activation
from evengrad.treatment.initialisation.layers import Layer


class Side(Enum):
    """What a layer reads from, or hands on to."""

    DATA = "data"  # the model's input
    OUTPUT = "output"  # the model's output
    ACTIVATION = "activation"
    NORMALISATION = "normalisation"
    LAYER = "layer"  # another layer, with nothing but views between
    STREAM = "stream"  # a sum of branches
    PRODUCT = "product"  # a product of two branches, as in gated units
    ATTENTION = "attention"
    OPAQUE = "opaque"  # a function that theory has no picture of


@dataclass(frozen=True)
class Branch:
    """The residual branch in which a layer stands.

    Attributes:
        count: How many branches join the same stream without a normalisation on it.
        depth: Layers in the branch.
        ends: Whether this layer is its last.
        normalised: Whether a normalisation stands between the last layer and the sum.
    """

    count: int
    depth: int
    ends: bool
    normalised: bool


@dataclass(frozen=True)
class Neighbourhood:
    """The surroundings of a layer.

    Attributes:
        before: What it reads from.
        after: What it hands on to.
        reads: The activation it reads from, where ``before`` is one.
        feeds: The activation it hands on to, where ``after`` is one.
        source: Key of the layer below with nothing but ``reads`` between, which gave ``reads`` its input.
        input_square: Measured mean square of what it reads; ``None`` without a batch.
        branch: Its residual branch, if it stands in one.
        is_head: Whether no layer comes after it.
        known: Whether this was seen in a batch or follows from the structure, rather than assumed.
        seen: Whether the batch showed it, where there was one.
    """

    before: Side
    after: Side
    reads: Activation | None = None
    feeds: Activation | None = None
    source: int | None = None
    input_square: float | None = None
    branch: Branch | None = None
    is_head: bool = False
    known: bool = True
    seen: bool = True


@dataclass(frozen=True)
class Wiring:
    """The neighbourhoods of layers, by the ``id`` of any leaf that their weight is made of, in order of data flow.

    Attributes:
        around: The neighbourhoods.
        seen: Where they come from, in words.
        bare: Layers made of bare parameters, which only a graph shows.
        squares: Mean square of what modules read, by the module's id.
        lengths: Time steps that recurrent modules read, by the module's id.
    """

    around: Mapping[int, Neighbourhood]
    seen: str
    bare: tuple[Layer, ...] = ()
    squares: Mapping[int, float] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)

    def completed_by(self, other: Wiring) -> Wiring:
        """Return the wiring with the neighbourhoods of another for the layers that this one has not seen."""
        missing = {leaf: replace(found, seen=False) for leaf, found in other.around.items() if leaf not in self.around}
        return replace(self, around={**self.around, **missing})
