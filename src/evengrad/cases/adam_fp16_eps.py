"""A model in float16 under Adam with the default epsilon: 1e-8 is zero in that format, and 0/0 follows."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


def train(seed: int, *, eps: float = 1e-8) -> float:
    """Train half-precision weights with Adam; the healthy twin has an epsilon that float16 can hold."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).half()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=eps)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x.half()).float(), y)

    return fit(loss_of, optimizer, 100)


CASE = Case(
    description="float16 weights under Adam with eps 1e-8, which is 0 in float16; the weights become NaN at once",
    run=train,
    twin=partial(train, eps=1e-3),
    threshold=0.5,
    architecture="MLP",
    optimizer="Adam",
    fault="non-finite",
    equivalents=frozenset({"precision-loss"}),
    causes=frozenset({CauseKind.PRECISION, CauseKind.OPTIMIZER_EPSILON}),
    first_step=(0, 2),
    repairs=frozenset({"raise-eps"}),
)
