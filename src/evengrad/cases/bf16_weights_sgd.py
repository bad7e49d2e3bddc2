"""An MLP cast to bfloat16 under SGD: steps of a thousandth of a weight hardly exist in that format."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, dtype: torch.dtype = torch.bfloat16) -> float:
    """Train with SGD; the healthy twin keeps float32 weights."""
    torch.manual_seed(seed)
    data = clusters(seed, spread=0.5)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    model = model.to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x.to(dtype)).float(), y)

    return fit(loss_of, optimizer, 400)


CASE = Case(
    description="ReLU MLP with bfloat16 weights under SGD with a small learning rate; updates are rounded away",
    run=train,
    twin=partial(train, dtype=torch.float32),
    threshold=1.6,
    architecture="MLP",
    optimizer="SGD",
    fault="precision-loss",
    causes=frozenset({CauseKind.PRECISION}),
    first_step=(0, 50),
    repairs=frozenset({"fp32", "higher-lr"}),
)
