"""A softmax written by hand in float16: once exp overflows, every step is skipped and the loss scale halves away."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import waves
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Mixture(nn.Module):
    """A soft choice among sixteen linear experts; the choice grows sharper as the temperature falls."""

    def __init__(self, *, by_hand: bool) -> None:
        super().__init__()
        self.by_hand = by_hand
        self.gate = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
        self.experts = nn.Linear(8, 16)

    def forward(self, x: Tensor, temperature: float) -> Tensor:
        """Return predictions [B, 1]."""
        scores = self.gate(x) / temperature
        if self.by_hand:
            powers = scores.half().exp()
            weights = (powers / powers.sum(1, keepdim=True)).float()
        else:
            weights = scores.softmax(1)
        return (weights * self.experts(x)).sum(1, keepdim=True)  # type: ignore[no-any-return]


def train(seed: int, *, by_hand: bool = True) -> float:
    """Train with SGD and a GradScaler; the healthy twin uses the library's softmax in float32."""
    torch.manual_seed(seed)
    data = waves(seed)
    model = Mixture(by_hand=by_hand)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    losses = []
    for step in range(250):
        x, y = data.batch()
        loss = F.mse_loss(model(x, 0.98**step), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="hand-written float16 softmax under SGD and a GradScaler; once it overflows every step is skipped",
    run=train,
    twin=partial(train, by_hand=False),
    threshold=0.75,
    architecture="mixture of experts",
    optimizer="SGD",
    fault="loss-scale-collapse",
    equivalents=frozenset({"non-finite"}),
    causes=frozenset({CauseKind.PRECISION, CauseKind.LOSS_NUMERICS}),
    first_step=(10, 249),
    repairs=frozenset({"loss-eps"}),
)
