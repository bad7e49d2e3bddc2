"""Gradients that are looked at in passing are those that autograd would have left in ``.grad``."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evengrad.checks import gradients
from evengrad.checks.feeding import Feed
from evengrad.checks.optimizers import OptimizerChoice
from evengrad.checks.seeds import Order, run_seeds
from tests.checks.architectures import Gpt, chain


def twin(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], loss) -> dict[str, torch.Tensor]:
    loss(model(batch[0]), batch[1]).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def per_token(output, target):
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


@pytest.mark.parametrize("large", [1 << 20, 1])
def test_readings_are_those_of_the_plain_gradients(monkeypatch, large):
    """With ``large`` at 1 the embeddings' dense gradients are never made: one tied to the head, one not."""
    monkeypatch.setattr(gradients, "_LARGE", large)
    torch.manual_seed(0)
    model = Gpt(2)
    tokens = torch.randint(16, (4, 9))
    batch = (tokens[:, :-1], tokens[:, 1:])
    (probe,) = run_seeds(Order(model, Feed(batch=batch, loss=per_token), OptimizerChoice(), 1)).probes
    assert all(parameter.grad is None for parameter in model.parameters())
    wanted = twin(model, batch, per_token)
    assert probe.gradients.keys() == wanted.keys()
    for name, reading in probe.gradients.items():
        # Float32 sums in another order.
        assert reading.norm == pytest.approx(wanted[name].norm().item(), rel=1e-5)
        assert reading.numel == wanted[name].numel()
        assert reading.largest == pytest.approx(wanted[name].abs().max().item(), rel=1e-5)
        assert reading.zero_share == pytest.approx((wanted[name] == 0).float().mean().item(), abs=1e-6)
    packed = wanted["h.0.c_attn.weight"].chunk(3)
    query_key = ((packed[0].norm() ** 2 + packed[1].norm() ** 2) / 2).sqrt().item()
    assert probe.gradients["h.0.c_attn.weight"].query_key == pytest.approx(query_key, rel=1e-5)
    assert probe.gradients["h.0.c_attn.weight"].value == pytest.approx(packed[2].norm().item(), rel=1e-5)


def test_the_attenuation_is_that_of_gradients_taken_by_hand():
    torch.manual_seed(0)
    model = chain(8, nn.Tanh, None)()
    x, y = torch.randn(16, 64), torch.arange(16) % 10
    (probe,) = run_seeds(Order(model, Feed(batch=(x, y), loss=F.cross_entropy), OptimizerChoice(), 1)).probes
    outputs = []
    handles = [m.register_forward_hook(lambda m, i, o: (o.retain_grad(), outputs.append(o))[1] and None)
               for m in model if isinstance(m, nn.Linear)]  # fmt: skip
    F.cross_entropy(model(x), y).backward()
    for handle in handles:
        handle.remove()
    wanted = torch.log10(outputs[0].grad.norm() / outputs[-1].grad.norm()).item()
    assert probe.attenuation == pytest.approx(wanted, abs=1e-5)


def test_underflow_counts_what_float16_would_lose():
    gradient = torch.tensor([[1.0, 1e-9, 2.0**-25, 2.0**-24, 0.0]])
    reading = gradients._read("w", gradient)
    lost = (gradient.half() == 0) & (gradient != 0)
    assert reading.underflow == pytest.approx(lost.sum().item() / 4)
    assert reading.zero_share == pytest.approx(1 / 5)
