"""A forgotten .detach() between encoder and head: the encoder keeps its random weights."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import spirals
from evengrad.cases._loop import fit
from evengrad.core.finding import CauseKind


class SpiralNet(nn.Module):
    """An encoder and a head."""

    def __init__(self, *, detach: bool) -> None:
        super().__init__()
        self.detach = detach
        self.encoder = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 8), nn.Tanh())
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B]."""
        features = self.encoder(x)
        if self.detach:
            features = features.detach()
        return self.head(features).squeeze(1)  # type: ignore[no-any-return]


def train(seed: int, *, detach: bool = True) -> float:
    """Train with Adam; in the healthy twin the gradient passes."""
    torch.manual_seed(seed)
    data = spirals(seed)
    model = SpiralNet(detach=detach)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(128)
        return F.binary_cross_entropy_with_logits(model(x), y)

    return fit(loss_of, optimizer, 250)


CASE = Case(
    description="encoder and head under Adam with a .detach() between them; the encoder never learns",
    run=train,
    twin=partial(train, detach=False),
    threshold=0.25,
    architecture="MLP",
    optimizer="Adam",
    fault="no-gradient",
    causes=frozenset({CauseKind.DISCONNECTED}),
    modules=("encoder",),
    repairs=frozenset({"reconnect"}),
)
