"""S7 of the peers' comparison: half-precision casts between layers and a loss weight of 1e-5."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._peers import fit_scaled
from evengrad.core.finding import CauseKind


class Casting(nn.Module):
    """Four layers that hand their activations on in a given number format."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 5]."""
        for layer in self.layers:
            x = F.relu(layer(x)).to(self.dtype).float()
        return self.head(x)  # type: ignore[no-any-return]


def train(seed: int, *, loss_scale: float = 1.0, dtype: torch.dtype = torch.float16, weight: float = 1e-5) -> float:
    """Train 200 steps with SGD and return the unweighted loss; the healthy twin has neither casts nor weight."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=5)
    model = Casting(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return weight * F.cross_entropy(model(x), y)

    return fit_scaled(loss_of, model, optimizer, loss_scale=loss_scale) / weight


CASE = Case(
    description="S7: float16 casts between layers and a loss weight of 1e-5 under SGD; gradients underflow",
    run=train,
    twin=partial(train, dtype=torch.float32, weight=1.0),
    threshold=0.8,
    architecture="MLP",
    optimizer="SGD",
    fault="precision-loss",
    equivalents=frozenset({"no-gradient", "vanishing-gradient"}),
    causes=frozenset({CauseKind.PRECISION}),
    modules=("layers",),
    repairs=frozenset({"fp32 + higher-lr"}),
)
