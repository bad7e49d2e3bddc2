"""The model is built anew after the optimizer: the gradients go to one net, the steps to the other."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import babble
from evengrad.cases._loop import final
from evengrad.core.finding import CauseKind


class Language(nn.Module):
    """A GRU language model."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(16, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [B, T, 16]."""
        states, _ = self.gru(self.token(tokens))
        return self.head(states)  # type: ignore[no-any-return]


def train(seed: int, *, rebuild: bool = True) -> float:
    """Train with Adam; the healthy twin keeps the model that its optimizer knows."""
    torch.manual_seed(seed)
    data = babble(seed)
    model = Language()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    if rebuild:
        model = Language()
    losses = []
    for _ in range(120):
        tokens, following = data.batch(16)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="GRU language model built anew after its Adam optimizer; the weights never change",
    run=train,
    twin=partial(train, rebuild=False),
    threshold=1.2,
    architecture="GRU",
    optimizer="Adam",
    fault="loop-order",
    equivalents=frozenset({"no-gradient"}),
    causes=frozenset({CauseKind.LOOP_ORDER, CauseKind.DISCONNECTED}),
    first_step=(0, 3),
    repairs=frozenset({"reconnect"}),
)
