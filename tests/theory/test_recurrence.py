"""Rates through time, against autograd through torch's own cells."""

import math

import numpy as np
import pytest
import torch

from evengrad.theory import (
    as_activation,
    chrono_biases,
    gru_recurrence,
    lstm_recurrence,
    simple_recurrence,
    torch_drive_variance,
)
from evengrad.theory.recurrence import _tied_factor

HIDDEN, INPUTS = 96, 32
DRIVE = torch_drive_variance(INPUTS, HIDDEN)
CELLS = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}


def measured_rate(kind: str, *, seed: int, bias: float = 0.0, weight_variance: float | None = None) -> float:
    """Return decades per step back in the gradient of the hidden state, over the middle of 40 steps."""
    torch.manual_seed(seed)
    cell = CELLS[kind](INPUTS, HIDDEN)
    with torch.no_grad():
        if bias:
            cell.bias_ih[HIDDEN : 2 * HIDDEN] += bias  # LSTM: forget gate; GRU: z
        if weight_variance is not None:
            cell.weight_hh.normal_(0, math.sqrt(weight_variance / HIDDEN))
    state = torch.zeros(4, HIDDEN), torch.zeros(4, HIDDEN)
    hidden = []
    for x in torch.randn(40, 4, INPUTS):
        state = cell(x, state) if kind == "lstm" else (cell(x, state[0]), state[1])
        state[0].retain_grad()
        hidden.append(state[0])
    (hidden[-1] * torch.randn(4, HIDDEN)).sum().backward()
    norms = [math.log10(h.grad.norm().item()) for h in hidden]
    return (norms[12] - norms[34]) / 22


def mean_rate(kind: str, **options: float) -> float:
    return float(np.mean([measured_rate(kind, seed=seed, **options) for seed in range(3)]))


@pytest.mark.parametrize("weight_variance", [None, 1.0, 2.25, 4.0])
def test_rate_of_the_plain_recurrence(weight_variance: float | None) -> None:
    variance = 1 / 3 if weight_variance is None else weight_variance
    expected = simple_recurrence(as_activation("tanh"), weight_variance=variance, drive_variance=DRIVE)
    measured = mean_rate("rnn", weight_variance=weight_variance)
    assert expected.decades_per_step == pytest.approx(measured, abs=0.03)  # 1 / sqrt(96) on the spectral radius


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_rate_of_the_lstm(bias: float) -> None:
    expected = lstm_recurrence(drive_variance=DRIVE, forget_bias=bias)
    assert expected.decades_per_step == pytest.approx(mean_rate("lstm", bias=bias), abs=0.015)


def test_rate_of_the_lstm_at_a_long_memory_is_an_upper_bound() -> None:
    expected, measured = lstm_recurrence(drive_variance=DRIVE, forget_bias=3.0), mean_rate("lstm", bias=3.0)
    assert measured < expected.decades_per_step < measured + 0.035


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_rate_of_the_gru(bias: float) -> None:
    expected = gru_recurrence(drive_variance=DRIVE, update_bias=bias)
    assert expected.decades_per_step == pytest.approx(mean_rate("gru", bias=bias), abs=0.015)


@pytest.mark.parametrize(
    ("found", "published"),
    [
        (lstm_recurrence(drive_variance=0.1), -0.204),
        (lstm_recurrence(drive_variance=0.1, forget_bias=1.0), -0.073),
        (gru_recurrence(drive_variance=0.1), -0.204),
        (gru_recurrence(drive_variance=0.1, update_bias=1.0), -0.103),
        (gru_recurrence(drive_variance=0.1, update_bias=3.0), -0.019),
    ],
)
def test_rates_agree_with_recorded_measurements(found, published: float) -> None:
    assert found.decades_per_step == pytest.approx(published, abs=0.012)


def test_plain_rates_lie_where_recorded() -> None:
    """-0.270 at torch's default, +0.014 at gain 1.5, +0.063 at gain 2; all depend on the drive."""
    tanh = as_activation("tanh")
    rates = [
        simple_recurrence(tanh, weight_variance=v, drive_variance=DRIVE).decades_per_step for v in (1 / 3, 2.25, 4.0)
    ]
    assert rates == pytest.approx([-0.270, 0.014, 0.063], abs=0.03)


@pytest.mark.parametrize(
    ("carry", "spread", "weight"), [(0.6, 0.0, 0.25), (0.6, 0.2, 0.25), (0.0, 0.0, 0.8), (0.8, 0.1, 0.1)]
)
def test_tied_factor_equals_products_of_tied_random_matrices(carry: float, spread: float, weight: float) -> None:
    """J_t = diag(a_t) + b W, W of 300 units the same at all 60 steps: within 0.012 decades per step.

    The share of walks that return falls like 1 / sqrt(T), which alone costs 0.004 decades per step here.
    """
    rng, width, steps = np.random.default_rng(0), 300, 60
    tied = weight * rng.standard_normal((width, width)) / math.sqrt(width)
    gradient = rng.standard_normal((width, 8))
    norms = []
    for _ in range(steps):
        diagonal = carry + spread * rng.standard_normal((width, 1))
        gradient = diagonal * gradient + tied @ gradient
        norms.append(math.log10(np.linalg.norm(gradient)))
    measured = (norms[-1] - norms[20]) / (steps - 21)
    factor = _tied_factor(
        carry_mean=carry, carry_square=carry**2 + spread**2, weight_mean=weight, weight_square=weight**2
    )
    assert math.log10(factor) / 2 == pytest.approx(measured, abs=0.012)


def test_untied_formula_would_be_wrong() -> None:
    """The sum of squares underestimates a memory: the reason for the walk."""
    together = _tied_factor(carry_mean=0.6, carry_square=0.36, weight_mean=0.25, weight_square=0.0625)
    assert together == pytest.approx((0.6 + 0.25) ** 2, rel=1e-12)
    assert _tied_factor(carry_mean=0.0, carry_square=0.0, weight_mean=0.8, weight_square=0.7) == pytest.approx(0.7)


def test_horizon_is_three_decades() -> None:
    found = simple_recurrence(as_activation("tanh"), drive_variance=DRIVE)
    assert found.horizon * found.decades_per_step == pytest.approx(-3)
    assert simple_recurrence(as_activation("relu"), weight_variance=2.0, drive_variance=0.0).horizon == math.inf


def test_chrono_biases_average_what_chrono_draws() -> None:
    """Tallec and Ollivier, ICLR 2018: ln U(1, T - 1); 200 000 draws, four standard errors."""
    draws = np.log(np.random.default_rng(0).uniform(1, 99, 200_000))
    forget, entry = chrono_biases(100)
    assert forget == pytest.approx(draws.mean(), abs=4 * draws.std() / math.sqrt(len(draws)))
    assert entry == -forget
    with pytest.raises(ValueError, match="expected a horizon of at least 3 steps"):
        chrono_biases(2)


def test_drive_is_what_torch_draws() -> None:
    torch.manual_seed(0)
    cell = torch.nn.RNNCell(400, 50)
    drive = torch.randn(2000, 400) @ cell.weight_ih.T + cell.bias_ih + cell.bias_hh
    assert torch_drive_variance(400, 50) == pytest.approx(drive.var().item(), rel=0.05)
