"""A second head that only evaluation uses: its parameters never get a gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class TwoHeads(nn.Module):
    """A body, a head that is trained, a head for evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)
        self.probe = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        features = self.body(x)
        return self.head(features) if self.training else self.probe(features)  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam, looking at the evaluation head now and then."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        if step % 50 == 0:
            model.eval()
            with torch.no_grad():
                model(x)
            model.train()
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 150)


CASE = Case(
    description="MLP under Adam with a head that only evaluation uses: no gradient there, and it trains",
    run=train,
    threshold=0.2,
    architecture="MLP",
    optimizer="Adam",
)
