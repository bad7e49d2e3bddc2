"""Fine-tuning a trained net on shifted data with a learning rate of 1e-5 for the body: small steps that suffice."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Classifier(nn.Module):
    """A body and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 10]."""
        return self.head(self.body(x))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Load a trained body, put a new head on it, train the body with 1e-5 and the head with 1e-2."""
    torch.manual_seed(seed)
    data = clusters(seed)
    model = Classifier()
    model.load_state_dict(pretrained(seed))
    model.head.reset_parameters()
    groups = [{"params": model.body.parameters(), "lr": 1e-5}, {"params": model.head.parameters(), "lr": 1e-2}]
    optimizer = torch.optim.AdamW(groups)

    def loss_of(step: int) -> Tensor:
        x, y = data.batch()
        return F.cross_entropy(model(x), (y + 3) % 10)

    return fit(loss_of, optimizer, 120)


def pretrained(seed: int) -> dict[str, Tensor]:
    """Return a stand-in for a checkpoint: twenty of the first layer's units look for the centres of the clusters."""
    data = clusters(seed)
    state = {name: value.clone() for name, value in Classifier().state_dict().items()}
    centres = torch.stack([data.x[data.y == label].mean(0) for label in range(10)])
    state["body.0.weight"][:10] = F.normalize(centres)
    state["body.0.weight"][10:20] = -F.normalize(centres)
    return state


CASE = Case(
    description="fine-tuning under AdamW with lr 1e-5 for the trained body and 1e-2 for a new head",
    run=train,
    threshold=0.5,
    architecture="MLP",
    optimizer="AdamW",
)
