"""Twenty ReLU layers with PyTorch's default initialisation: a sixth of the gradient's energy per layer."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class Deep(nn.Module):
    """A tower of linear layers with functional ReLU."""

    def __init__(self, depth: int = 20, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int, *, he: bool = False) -> float:
    """Train with SGD and momentum; the healthy twin starts from He initialisation."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Deep()
    if he:
        for layer in model.layers:
            nn.init.kaiming_normal_(layer.get_parameter("weight"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="20-layer ReLU MLP with default initialisation under SGD; the loss stays at ln 10",
    run=train,
    twin=partial(train, he=True),
    threshold=1.2,
    architecture="MLP",
    optimizer="SGD",
    fault="vanishing-gradient",
    equivalents=frozenset({"bad-initialisation"}),
    causes=frozenset({CauseKind.WEIGHT_SCALE_SMALL, CauseKind.DEPTH_WITHOUT_SKIP_OR_NORM}),
    modules=("layers",),
    repairs=frozenset({"he-init", "lsuv-init"}),
)
