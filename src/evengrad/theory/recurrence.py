"""How fast gradients change from one time step to the step before in recurrent nets with fresh weights.

Every gate's pre-activation is Gaussian with variance ``weight_variance * E h^2 + drive_variance`` about its bias.

The weights are the same at every step. Without a gate that carries the state over, this changes fluctuations alone.
With one (LSTM, GRU), the ways back through time that use W equally often, at whatever steps, add up coherently: the
gradient decays like the sum of both ways, not like the root of their squares, and so far more slowly (`_tied_factor`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evengrad.theory._arrays import Array, RealFunction
from evengrad.theory._smooth import expit, tanh
from evengrad.theory.activation import Activation
from evengrad.theory.mean_field import Initialisation, decades_per_layer, gradient_factor, q_star
from evengrad.theory.quadrature import SMALLEST_VARIANCE, expectation

TORCH_WEIGHT_VARIANCE = 1 / 3  # torch draws recurrent weights from U(-1/sqrt(H), 1/sqrt(H))
_ITERATIONS = 500
_HORIZON_DECADES = 3.0


@dataclass(frozen=True)
class Recurrence:
    """What one step of time does to a gradient.

    Attributes:
        q: Variance of the pre-activations, in the long run.
        factor: Factor of the squared gradient norm per step back.
    """

    q: float
    factor: float

    @property
    def decades_per_step(self) -> float:
        """Change of log10 of the gradient's norm per step back."""
        return decades_per_layer(self.factor)

    @property
    def horizon(self) -> float:
        """Steps over which the gradient changes by 3 decades.

        Source:
            Own choice of 3 decades: recall of a first token was learned about up to there, and not beyond.
        """
        rate = abs(self.decades_per_step)
        return math.inf if rate == 0 else _HORIZON_DECADES / rate


def torch_drive_variance(input_size: int, hidden_size: int, *, input_square: float = 1.0) -> float:
    """Return the variance of U x + b at torch's default initialisation of its recurrent layers.

    Args:
        input_size: Entries of x.
        hidden_size: Units H.
        input_square: Mean square of an entry of x.

    Source:
        ``torch.nn.RNNBase.reset_parameters`` draws U, W and both biases from U(-1/sqrt(H), 1/sqrt(H)).
    """
    return (input_size * input_square + 2) / (3 * hidden_size)


def simple_recurrence(
    activation: Activation, *, weight_variance: float = TORCH_WEIGHT_VARIANCE, drive_variance: float
) -> Recurrence:
    """Return the rate of h' = phi(W h + U x + b).

    Args:
        activation: phi.
        weight_variance: H * Var(W); 1 for orthogonal W.
        drive_variance: Variance of U x + b.

    Source:
        Pascanu, Mikolov and Bengio, ICML 2013, section 2; Chen, Pennington and Schoenholz, ICML 2018 (mean field).
    """
    initialisation = Initialisation(weight_variance, drive_variance)
    q = q_star(activation, initialisation)
    return Recurrence(q, gradient_factor(activation, q, initialisation))


def lstm_recurrence(
    *,
    weight_variance: float = TORCH_WEIGHT_VARIANCE,
    drive_variance: float,
    forget_bias: float = 0.0,
    input_bias: float = 0.0,
    output_bias: float = 0.0,
) -> Recurrence:
    """Return the rate of an LSTM, c' = f c + i g, h' = o tanh(c').

    The way through the cell alone is E sigma(f)^2; the way through the output gate is left out (it is about 1 % of it).
    Successive steps count as independent. Above a forget bias of about 2 the cell remembers long enough that they are
    not; the rate is then too high by up to 0.03 decades per step.

    Args:
        weight_variance: H * Var(W) of every gate.
        drive_variance: Variance of U x + b about the biases below.
        forget_bias: Mean pre-activation of the forget gate.
        input_bias: Mean pre-activation of the input gate.
        output_bias: Mean pre-activation of the output gate.

    Source:
        Chen et al., ICML 2018 and Gilboa et al., 2019, for the moments; shared weights as in ``_tied_factor``.
    """

    def squares(q: float) -> tuple[float, float, float, float]:
        return (_gate(2, 0, forget_bias, q), _gate(2, 0, input_bias, q), _gate(2, 0, output_bias, q), _tanh_square(q))

    hidden = cell = 0.0
    for _ in range(_ITERATIONS):
        q = weight_variance * hidden + drive_variance
        forget, entry, exit_, candidate = squares(q)
        cell = entry * candidate / (1 - forget)
        following = exit_ * _tanh_square(cell)
        if abs(following - hidden) <= 1e-12 * following:
            break
        hidden = following
    to_hidden = exit_ * _mean(_sech_fourth, cell)
    through_gates = cell * _gate(2, 2, forget_bias, q) + candidate * _gate(2, 2, input_bias, q)
    mean_to_hidden = _gate(1, 0, output_bias, q) * _mean(_sech_square, cell)
    mean_slope = _gate(1, 0, input_bias, q) * _mean(_sech_square, q) * mean_to_hidden
    factor = _tied_factor(
        carry_mean=_gate(1, 0, forget_bias, q),
        carry_square=forget,
        weight_mean=math.sqrt(weight_variance) * mean_slope,
        weight_square=weight_variance * (through_gates + entry * _mean(_sech_fourth, q)) * to_hidden,
    )
    return Recurrence(q, factor)


def gru_recurrence(
    *, weight_variance: float = TORCH_WEIGHT_VARIANCE, drive_variance: float, update_bias: float = 0.0
) -> Recurrence:
    """Return the rate of torch's GRU, h' = (1 - z) n + z h with n = tanh(U x + b + r (W h + b')).

    Args:
        weight_variance: H * Var(W) of every gate.
        drive_variance: Variance of U x + b about the bias below.
        update_bias: Mean pre-activation of z; positive remembers.

    Source:
        Chen et al., ICML 2018, for the moments; shared weights as in ``_tied_factor``.
    """
    hidden = 0.0
    for _ in range(_ITERATIONS):
        q = weight_variance * hidden + drive_variance
        reset, keep, renew = _gate(2, 0, 0.0, q), _gate(2, 0, update_bias, q), _gate(0, 2, update_bias, q)
        inner = drive_variance + reset * weight_variance * hidden
        candidate = _tanh_square(inner)
        following = renew * candidate / (1 - keep)
        if abs(following - hidden) <= 1e-12 * following:
            break
        hidden = following
    slope = _mean(_sech_fourth, inner)
    through_update = (hidden + candidate) * _gate(2, 2, update_bias, q)
    through_candidate = renew * slope * (reset + weight_variance * hidden * _gate(2, 2, 0.0, q))
    mean_slope = _gate(0, 1, update_bias, q) * _mean(_sech_square, inner) * _gate(1, 0, 0.0, q)
    factor = _tied_factor(
        carry_mean=_gate(1, 0, update_bias, q),
        carry_square=keep,
        weight_mean=math.sqrt(weight_variance) * mean_slope,
        weight_square=weight_variance * (through_update + through_candidate),
    )
    return Recurrence(q, factor)


def chrono_biases(horizon: int) -> tuple[float, float]:
    """Return the mean forget and input bias of chrono initialisation, E ln U(1, horizon - 1) and its negative.

    Raises:
        ValueError: ``horizon`` is below 3.

    Source:
        Tallec and Ollivier, ICLR 2018, section 2.
    """
    if horizon < 3:
        raise ValueError(f"expected a horizon of at least 3 steps, got {horizon}")
    longest = horizon - 1
    mean = longest * math.log(longest) / (longest - 1) - 1
    return mean, -mean


def _tied_factor(*, carry_mean: float, carry_square: float, weight_mean: float, weight_square: float) -> float:
    """Return the growth per step of E |J_1 ... J_T g|^2 for J_t = diag(a_t) + b_t W, with the same W at every step.

    Expand the square into pairs of paths. A pair survives the average over W if both use W equally often; at any time
    one may be d uses ahead. Per step d stays with weight a^2 + b^2 or moves by one with weight a b, and only at d = 0,
    where both sit at the same unit, the gates' fluctuations count. The largest eigenvalue of this walk is that of a
    lattice with one defect. No carry: b^2; no fluctuations: (a + b)^2.

    Args:
        carry_mean: E a.
        carry_square: E a^2.
        weight_mean: sqrt(weight_variance) E b.
        weight_square: weight_variance E b^2.

    Source:
        Own derivation, above; checked against autograd in ``tests/theory/test_recurrence.py``.
    """
    stay, move = carry_mean**2 + weight_mean**2, carry_mean * weight_mean
    defect = carry_square + weight_square - stay
    return stay + math.hypot(defect, 2 * move)


def _mean(function: RealFunction, variance: float) -> float:
    return expectation(function, max(variance, SMALLEST_VARIANCE))


def _gate(power: int, complement_power: int, bias: float, q: float) -> float:
    """E sigma(h)^power (1 - sigma(h))^complement_power for h of mean ``bias`` and variance ``q``."""
    return _mean(lambda h: expit(bias + h) ** power * expit(-bias - h) ** complement_power, q)


def _tanh_square(variance: float) -> float:
    return _mean(lambda h: np.tanh(h) ** 2, variance) if variance > 0 else 0.0


_sech_square = tanh().derivative


def _sech_fourth(x: Array) -> Array:
    return _sech_square(x) ** 2
