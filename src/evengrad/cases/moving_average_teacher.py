"""A student learns from a teacher that is its own moving average: half of all modules never see a gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import final


class Encoder(nn.Module):
    """A small net with a final layer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(self.net(x))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train with Adam on labels for half of each batch and on the teacher's word for the rest."""
    torch.manual_seed(seed)
    data = clusters(seed)
    student, teacher = Encoder(), Encoder()
    teacher.load_state_dict(student.state_dict())
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
    losses = []
    for _ in range(150):
        x, y = data.batch()
        with torch.no_grad():
            soft = teacher(x[32:]).softmax(1)
        logits = student(x)
        loss = F.cross_entropy(logits[:32], y[:32]) + 0.3 * F.cross_entropy(logits[32:], soft)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            for mine, yours in zip(teacher.parameters(), student.parameters(), strict=True):
                mine.lerp_(yours, 0.05)
        losses.append(loss.item())
    return final(losses)


CASE = Case(
    description="student and moving-average teacher under Adam",
    run=train,
    threshold=0.3,
    architecture="MLP",
    optimizer="Adam",
)
