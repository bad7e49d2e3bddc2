"""How deep a plain net may be."""

import math

import pytest

from evengrad.theory import (
    HOPELESS,
    DepthLimits,
    Initialisation,
    InitialisationRow,
    Outlook,
    as_activation,
    compare_initialisations,
    edge_of_chaos,
    picture,
    trainable_depth,
)

from .nets import gradient_norms


def row(name: str, depth: int, variance: float) -> InitialisationRow:
    rows = compare_initialisations(as_activation(name), depth, q_0=variance, given=Initialisation(variance))
    return rows[0]


def test_trainable_depth_takes_the_tighter_limit() -> None:
    rate = math.log10(0.8) / 2
    assert trainable_depth(0.8, 100.0).depth == pytest.approx(1 - 3 / rate)
    assert trainable_depth(0.8, 2.0).depth == 12
    assert trainable_depth(1.0, math.inf).depth == math.inf
    assert trainable_depth(0.8, math.inf, DepthLimits(vanishing_decades=-1.0)).depth == pytest.approx(1 - 1 / rate)
    assert trainable_depth(1.25, math.inf).depth == pytest.approx(1 - 2 / rate)


# Nets of 100 units on the digits, 300 steps of SGD (momentum 0.9, best of rates 1, 0.3, 0.03): accuracy by depth.
@pytest.mark.parametrize(
    ("name", "variance", "accuracies"),
    [
        ("sigmoid", 1 / 3, {3: 1.00, 4: 0.98, 5: 0.10, 6: 0.10, 8: 0.10}),
        ("sigmoid", 1.0, {3: 1.00, 4: 0.99, 5: 0.63, 6: 0.10, 8: 0.10}),
        ("sigmoid", 2.0, {3: 1.00, 4: 1.00, 5: 0.99, 6: 0.24, 8: 0.10}),
        ("softplus", 1 / 3, {3: 1.00, 4: 0.98, 5: 0.95, 6: 0.25, 8: 0.10}),
        ("softplus", 1.0, {3: 1.00, 4: 0.99, 5: 0.99, 6: 0.99, 8: 0.97}),
        ("softplus", 2.0, {3: 1.00, 4: 1.00, 5: 1.00, 6: 1.00, 8: 0.99}),
    ],
)
def test_nets_expected_to_train_did_and_those_that_did_not_were_not_expected_to(
    name: str, variance: float, accuracies: dict[int, float]
) -> None:
    outlooks = {depth: row(name, depth, variance).outlook for depth in accuracies}
    assert all(accuracies[depth] > 0.9 for depth, outlook in outlooks.items() if outlook is Outlook.TRAINS)
    assert all(accuracies[depth] < 0.5 for depth, outlook in outlooks.items() if outlook is Outlook.FAILS)


@pytest.mark.parametrize(("weight_variance", "measured"), [(1.0, 34.0), (1.3, 63.6), (3.0, 63.6), (4.0, 48.5)])
def test_depth_at_which_tanh_nets_stop_training_lies_between_the_limits(
    weight_variance: float, measured: float
) -> None:
    """Half of the accuracy is lost there, at bias variance 0.05 (benchmarks/papers); seeds differ by 10 %."""
    found = picture("tanh", weight_variance=weight_variance, bias_variance=0.05, depth=80)
    assert found.trainable.depth < measured < 1.1 * found.comparison[0].hopeless.depth


def test_the_chain_itself_counts_before_its_fixed_point() -> None:
    """Tanh at weight variance 1 is critical in the long run, and loses half a decade on the way there."""
    slow = row("tanh", 30, 1.0)
    assert slow.gradient_factor == pytest.approx(1, abs=1e-6)
    assert slow.propagation.attenuation < -0.5
    tight = DepthLimits(vanishing_decades=-0.5)
    assert trainable_depth(1.0, math.inf, tight).by_gradient == math.inf
    assert 5 < trainable_depth(1.0, math.inf, tight, propagation=slow.propagation).by_gradient < 30


def test_relu_nets_lose_the_difference_between_inputs_slowly() -> None:
    """At the edge of chaos 1 - c falls like 9 pi^2 / (2 L^2) (Hayou et al., ICML 2019): through exp(-6) at L = 134."""
    he = row("relu", 150, 2.0)
    assert he.trainable.by_gradient == math.inf
    assert he.trainable.by_correlation == pytest.approx(math.sqrt(4.5 * math.pi**2 * math.exp(6)), rel=0.1)
    assert he.outlook is Outlook.DOUBTFUL
    assert row("relu", 50, 2.0).outlook is Outlook.TRAINS


def test_limits_are_nested() -> None:
    safe = DepthLimits()
    assert HOPELESS.vanishing_decades < safe.vanishing_decades < 0 < safe.exploding_decades < HOPELESS.exploding_decades
    assert math.exp(-HOPELESS.correlation_scales) == pytest.approx(1e-8)


@pytest.mark.parametrize(
    ("name", "limit"), [("gelu", 71), ("silu", 49), ("hardswish", 38), ("mish", 285), ("tanhshrink", 17)]
)
def test_an_unstable_variance_limits_critical_nets(name: str, limit: int) -> None:
    (critical,) = (row for row in compare_initialisations(as_activation(name), 8) if row.name == "critical")
    assert critical.trainable.by_variance == pytest.approx(limit, abs=2)
    assert critical.hopeless.by_variance == pytest.approx(2 * critical.trainable.by_variance - 1)
    assert compare_initialisations(as_activation("tanh"), 8)[-1].trainable.by_variance == math.inf


@pytest.mark.parametrize(("depth", "least", "most"), [(40, 0, 1), (150, 6, 8)])
def test_critical_gelu_nets_stray_where_their_variance_does(depth: int, least: int, most: int) -> None:
    """Of 8 nets of 256 units, how many leave the decades within which nets train."""
    gelu = as_activation("gelu")
    initialisation, limits = edge_of_chaos(gelu).initialisation, DepthLimits()
    strays = 0
    for seed in range(8):
        norms = gradient_norms(gelu, initialisation, widths=[256] * depth, q_0=1.0, seed=seed, batch=1)
        strays += not limits.vanishing_decades <= math.log10(norms[0] / norms[-1]) <= limits.exploding_decades
    assert least <= strays <= most


def test_a_jump_is_never_promised_to_train() -> None:
    assert row("hardshrink", 12, 2.0).outlook is Outlook.DOUBTFUL
