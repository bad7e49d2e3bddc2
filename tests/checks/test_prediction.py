"""What theory expects of a chain is what is measured, within its finite-width band."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import evengrad
from evengrad.checks.prediction import theory_of
from evengrad.checks.probe import Nonlinearity
from tests.checks.architectures import HE, XAVIER, chain, convolutions, gaussian, normalised, residual


@pytest.mark.parametrize(
    ("act", "init", "depth"),
    [
        (nn.ReLU, None, 12),
        (nn.ReLU, HE, 20),
        (nn.Tanh, gaussian(3.0), 20),
        (nn.Tanh, XAVIER, 20),
        (nn.Sigmoid, XAVIER, 8),
        (nn.GELU, None, 12),
        (nn.SELU, gaussian(1.0), 20),
        (nn.ELU, None, 12),
        (nn.SiLU, HE, 12),
        (lambda: nn.LeakyReLU(0.3), None, 12),
        (lambda: nn.Hardtanh(-1, 1), HE, 12),
        (nn.Softplus, None, 6),
    ],
)
def test_measured_lies_in_the_predicted_band(act, init, depth):
    result = evengrad.check(chain(depth, act, init, width=128), seeds=2)
    assert result.prediction is not None
    for measured in (result.attenuation.low, result.attenuation.high):
        assert result.prediction.low <= measured <= result.prediction.high
    # Layer by layer as well; half a decade is three deviations of the deepest chain here.
    for row in result.rows[1:]:
        assert row.gradient.median == pytest.approx(row.predicted, abs=0.5)


def test_convolutions_are_predicted_but_for_their_edges():
    """Zero padding of an 8 x 8 image loses up to a sixth of the gradient per layer: theory page, ledger."""
    result = evengrad.check(convolutions(8, HE), torch.randn(16, 1, 8, 8), seeds=1)
    assert result.prediction is not None
    assert -8 * 0.09 < result.attenuation.median - result.prediction.attenuation < 0.4


def test_what_is_no_plain_chain_is_not_predicted():
    for build in (residual(4, norm=False), normalised(4, nn.LayerNorm), lambda: nn.LSTM(8, 4)):
        assert evengrad.check(build, seeds=1).prediction is None


@pytest.mark.parametrize(
    ("operation", "numbers", "label"),
    [
        ("Relu", {}, "relu"),
        ("LeakyRelu", {"negative_slope": 0.2}, "leaky_relu(negative_slope=0.2)"),
        ("Elu", {"alpha": 1.6732632, "scale": 1.0507009873554805}, "selu"),
        ("Hardtanh", {"min_val": 0.0, "max_val": 6.0}, "relu6"),
        ("Silu", {}, "silu"),
    ],
)
def test_autograds_operations_are_theorys_activations(operation, numbers, label):
    found = theory_of(Nonlinearity(operation, "net.1", numbers))
    assert found is not None
    assert found.label == label


def test_an_operation_that_theory_does_not_know_has_no_activation():
    assert theory_of(Nonlinearity("Fmod", "net.1")) is None


@pytest.mark.parametrize(("act", "init"), [(nn.ReLU, None), (nn.Tanh, gaussian(0.7)), (nn.SELU, gaussian(2.0))])
def test_the_proposed_initialisation_does_what_is_expected_of_it(act, init):
    sick = evengrad.check(chain(20, act, init, width=128), seeds=1)
    proposal = sick.proposals[0]

    def build():
        model = chain(20, act, None, width=128)()
        evengrad.init_(model, proposal.method)
        return model

    healed = evengrad.check(build, seeds=3)
    assert abs(sick.attenuation.median) > 2
    assert proposal.expected.low - 0.2 < healed.attenuation.median < proposal.expected.high + 0.2
    assert healed.healthy


@pytest.mark.parametrize("act", [nn.Sigmoid, nn.Softplus])
def test_weights_that_cancel_a_mean_are_proposed_predicted_and_do_it(act):
    proposal = evengrad.check(chain(20, act, None, width=128), seeds=1).proposals[0]
    assert proposal.method == "centred"

    def build():
        model = chain(20, act, None, width=128)()
        evengrad.init_(model, "critical")
        return model

    healed = evengrad.check(build, seeds=2)
    assert healed.healthy
    assert abs(healed.attenuation.median) < 1
    # The output head has gain 1, a quarter of the critical one: 0.7 decades at most.
    assert healed.prediction is not None
    assert healed.attenuation.median == pytest.approx(healed.prediction.attenuation, abs=0.5)
