"""L-BFGS with a closure: many backward passes per step, and gradients that end near zero."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves


def train(seed: int) -> float:
    """Train on the whole data set."""
    torch.manual_seed(seed)
    data = waves(seed, samples=256)
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(data.x), data.y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(20):
        loss = optimizer.step(closure)  # type: ignore[no-untyped-call]
    return loss.item()  # type: ignore[no-any-return]


CASE = Case(
    description="tanh regression under L-BFGS with a closure: many backward passes per step",
    run=train,
    threshold=0.1,
    architecture="MLP",
    optimizer="LBFGS",
)
