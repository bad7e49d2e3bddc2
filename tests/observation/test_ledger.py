"""The ledger against autograd: every chain adds up to what was measured end to end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from evengrad.core.ledger import EntryKind
from evengrad.core.statistic import Statistic
from tests.observation.nets import NETS, FunctionalMlp, HandRnn, Residual, watched_steps


@pytest.mark.parametrize("name", NETS)
def test_entries_add_up_to_the_attenuation(name: str) -> None:
    torch.manual_seed(1)
    build, batch = NETS[name]
    trace = watched_steps(build(), batch)
    assert trace.ledgers
    for ledger in trace.ledgers:
        assert math.isfinite(ledger.attenuation)
        # The entries telescope: only rounding of float32 norms is left.
        assert ledger.total == pytest.approx(ledger.attenuation, abs=1e-6)


def _cotangents(model: FunctionalMlp, batch: Tensor) -> list[float]:
    """The slow twin: norms of dL/dh at every layer's output, by retained gradients."""
    kept: list[Tensor] = []
    x = batch
    for layer in model.layers:
        h = layer(x)
        h.retain_grad()
        kept.append(h)
        x = torch.tanh(h)
    x.square().mean().backward()
    return [float(h.grad.double().norm()) for h in kept if h.grad is not None]


def test_attenuation_equals_retained_gradients() -> None:
    torch.manual_seed(2)
    model, x = FunctionalMlp(), torch.randn(8, 16)
    expected = _cotangents(model, x)
    model.zero_grad()
    trace = watched_steps(model, lambda: x, steps=1)
    ledger = trace.ledgers[0]
    assert ledger.attenuation == pytest.approx(math.log10(expected[0] / expected[-1]), abs=1e-6)
    measured = [trace.get(Statistic.GRAD_OUTPUT_NORM, f"layers.{i}").first() for i in range(6)]
    assert measured == pytest.approx(expected, rel=1e-5)


def test_first_and_last_layer_are_the_chain_s_ends() -> None:
    torch.manual_seed(3)
    ledger = watched_steps(Residual(), lambda: torch.randn(8, 16), steps=1).ledgers[0]
    assert (ledger.first, ledger.last) == ("stem", "head")


def test_branch_shares_sum_to_one() -> None:
    torch.manual_seed(4)
    ledger = watched_steps(Residual(), lambda: torch.randn(8, 16), steps=1).ledgers[0]
    assert len(ledger.branches) == 4
    for branch in ledger.branches:
        assert sum(branch.shares) == pytest.approx(1.0, abs=1e-5)


def test_a_factor_on_the_loss_changes_no_entry() -> None:
    torch.manual_seed(5)
    model, x = FunctionalMlp(), torch.randn(8, 16)
    plain = watched_steps(model, lambda: x, steps=1).ledgers[0]
    torch.manual_seed(5)
    model, x = FunctionalMlp(), torch.randn(8, 16)
    scaled = watched_steps(model, lambda: x, steps=1, factor=65536.0).ledgers[0]
    assert [e.decades for e in scaled] == pytest.approx([e.decades for e in plain], abs=1e-5)


def test_activation_scale_is_the_rms_derivative() -> None:
    torch.manual_seed(6)
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8)), torch.randn(16, 8)
    entry = next(e for e in watched_steps(model, lambda: x, steps=1).ledgers[0] if e.kind is EntryKind.ACTIVATION)
    assert entry.module == "1"
    assert entry.scale is not None
    assert entry.scale <= math.log10(0.25)
    # Alignment of gradient and derivative is what is left; small for fresh weights.
    assert abs(entry.decades - entry.scale) < 0.1


def test_weight_scale_is_frobenius_norm_over_root_of_outputs() -> None:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(8, 6, bias=False), nn.ReLU(), nn.Linear(6, 5, bias=False))
    weight = model[2].weight.detach().clone()
    entry = next(e for e in watched_steps(model, lambda: torch.randn(16, 8), steps=1).ledgers[0] if e.module == "2")
    assert entry.scale == pytest.approx(math.log10(float(weight.norm()) / math.sqrt(5)), abs=1e-6)


def test_gradient_below_float32_squares_is_still_measured() -> None:
    torch.manual_seed(8)
    model = nn.Sequential(*[layer for _ in range(30) for layer in (nn.Linear(8, 8), nn.Sigmoid())])
    ledger = watched_steps(model, lambda: torch.randn(4, 8), steps=1).ledgers[0]
    # About -0.85 decades a layer (theory page): far below where float32 squares underflow, and not -inf.
    assert -32 < ledger.attenuation < -20
    assert ledger.total == pytest.approx(ledger.attenuation, abs=1e-3)


def test_recurrence_written_as_a_loop_is_followed_through_time() -> None:
    torch.manual_seed(9)
    trace = watched_steps(HandRnn(), lambda: torch.randn(4, 12, 4), steps=1)
    assert trace.ledgers[0].steps_in_time >= 11
    profile = next(p for p in trace.time_profiles if p.module == "hidden")
    assert len(profile.norms) == 12
    assert profile.norms[0] < profile.norms[-1]


def test_source_lines_point_at_the_user_s_file() -> None:
    torch.manual_seed(10)
    trace = watched_steps(FunctionalMlp(), lambda: torch.randn(4, 16), steps=1)
    sources = {site.source.file.rpartition("/")[2] for site in (*trace.layers, *trace.activations) if site.source}
    assert sources == {"nets.py"}
    assert all(site.source is not None and "tanh" in site.source.text for site in trace.activations)
