"""An LSTM with a forget bias of three remembers its first token for fifteen steps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import recall
from evengrad.cases._loop import fit


class Reader(nn.Module):
    """An LSTM whose last state names the first token."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = 3.0

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        states, _ = self.lstm(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam."""
    torch.manual_seed(seed)
    data = recall(seed, length=15)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch(32)
        return F.cross_entropy(model(x), y)

    return fit(loss_of, optimizer, 250, max_norm=1.0)


CASE = Case(
    description="LSTM with forget bias 3 under Adam, first-token recall over 15 steps: gates saturated on purpose",
    run=train,
    threshold=0.3,
    architecture="LSTM",
    optimizer="Adam",
)
