"""Which outputs are squeezed twice before a loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.core.event import EventKind
from evengrad.observation.watch import watch

TARGET = torch.tensor([0, 1, 2, 0])
BINARY = torch.tensor([[0.0], [1.0], [1.0], [0.0]])

TWICE: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "softmax": (3, lambda h: F.cross_entropy(h.softmax(1), TARGET)),
    "softmax-view": (3, lambda h: F.cross_entropy(h.softmax(1).view(4, 3), TARGET)),
    "sigmoid": (3, lambda h: F.cross_entropy(h.sigmoid(), TARGET)),
    "log-softmax-nll": (3, lambda h: F.nll_loss(F.log_softmax(torch.softmax(h, 1), 1), TARGET)),
    "binary": (1, lambda h: F.binary_cross_entropy_with_logits(h.sigmoid(), BINARY)),
}
ONCE: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "logits": (3, lambda h: F.cross_entropy(h, TARGET)),
    "log-softmax-of-log-softmax": (3, lambda h: F.cross_entropy(h.log_softmax(1), TARGET)),
    "temperature": (3, lambda h: F.cross_entropy(10 * h.sigmoid(), TARGET)),
    "binary": (1, lambda h: F.binary_cross_entropy(h.sigmoid(), BINARY)),
    "attention": (3, lambda h: F.cross_entropy(h.softmax(0).T @ h, TARGET[:3])),
    "distillation": (3, lambda h: F.kl_div(h.log_softmax(1), h.detach().softmax(1), reduction="batchmean")),
    "policy": (3, lambda h: -(h.softmax(1).log()[:, 0]).mean()),
}


def events(outputs: int, loss_of: Callable[[Tensor], Tensor]) -> int:
    torch.manual_seed(0)
    model = nn.Linear(5, outputs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch() as monitor:
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(model(torch.randn(4, 5))).backward()
            optimizer.step()
    return len(monitor.trace().events_of(EventKind.SQUASHED_TWICE))


@pytest.mark.parametrize("name", TWICE)
def test_a_probability_that_a_loss_takes_for_logits_is_noted(name: str) -> None:
    assert events(*TWICE[name]) == 1


@pytest.mark.parametrize("name", ONCE)
def test_what_a_loss_is_made_for_is_not_noted(name: str) -> None:
    assert events(*ONCE[name]) == 0
