"""Initialisations: each for the activation that it suits, none where a scale of the weights repairs nothing."""

from __future__ import annotations

import math

import pytest

from evengrad.core.statistic import Statistic
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.theory.averages import moments
from evengrad.theory.lookup import as_activation
from evengrad.theory.recurrence import chrono_biases
from tests.builders import branch
from tests.remedies.nets import K, net, plain_layers, proposed, recurrent, says, with_module

SMALL = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)
LARGE = says("exploding-gradient", K.WEIGHT_SCALE_LARGE)
FLAT = says("vanishing-gradient", K.ACTIVATION_DERIVATIVE)
BORN_DEAD = says("dead-units", K.DEAD_UNITS, "cause-born", parameters=("net.2.weight", "net.2.bias"))
DIED = says("dead-units", K.LEARNING_RATE_HIGH, "cause-rate", parameters=("net.2.weight",))
IN_TIME = says("vanishing-gradient", K.RECURRENT_JACOBIAN)
DECAYED = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL, "cause-decay")
WHOLE_NETWORK = "xavier-init he-init lecun-init lsuv-init critical-init data-dependent-init orthogonal-init".split()


@pytest.mark.parametrize("finding", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("operation", "remedy", "others"),
    [
        ("Relu", "he-init", {"xavier-init", "lecun-init", "critical-init", "orthogonal-init"}),
        ("LeakyRelu", "he-init", {"xavier-init", "lecun-init", "critical-init", "orthogonal-init"}),
        ("Tanh", "xavier-init", {"he-init", "lecun-init", "critical-init"}),
        ("Gelu", "critical-init", {"he-init", "xavier-init", "lecun-init", "orthogonal-init"}),
        ("Selu", "lecun-init", {"he-init", "critical-init"}),
    ],
)
def test_the_initialisation_follows_the_activation(operation, remedy, others, finding) -> None:
    assert len(proposed(remedy, net(operation, depth=12), finding)) == 1
    assert {other for other in others if proposed(other, net(operation, depth=12), finding)} == set()


@pytest.mark.parametrize("remedy", WHOLE_NETWORK)
def test_no_initialisation_is_proposed_against_sigmoids_derivative(remedy) -> None:
    assert proposed(remedy, net("Sigmoid", depth=12), FLAT) == ()


@pytest.mark.parametrize("remedy", WHOLE_NETWORK)
def test_no_initialisation_is_proposed_for_weights_that_decay_took(remedy) -> None:
    for operation in ("Relu", "Tanh", "Gelu", "Selu"):
        assert proposed(remedy, net(operation, depth=12), DECAYED) == ()


def test_saturated_tanh_gets_smaller_weights() -> None:
    assert proposed("xavier-init", net("Tanh"), FLAT)[0].number("gain") == 1.0


@pytest.mark.parametrize("operation", ["gelu", "silu", "mish"])
def test_critical_init_makes_mean_squared_gradient_and_signal_stationary(operation) -> None:
    (change,) = proposed("critical-init", net(operation.capitalize()), SMALL)
    m = moments(as_activation(operation), 1.0)
    assert change.number("gain") ** 2 * m.slope_square == pytest.approx(1, rel=1e-3)  # settings have four digits
    assert change.number("gain") ** 2 * m.square + change.number("bias") ** 2 == pytest.approx(1, rel=5e-3)


def test_critical_init_has_nothing_for_softplus() -> None:
    assert proposed("critical-init", net("Softplus"), SMALL) == ()


def test_orthogonal_init_draws_recurrent_weights_alone() -> None:
    (change,) = proposed("orthogonal-init", recurrent("RNN"), IN_TIME)
    assert (change.modules, change.word("method"), change.number("gain")) == (("rnn",), "recurrent", 1.0)
    assert proposed("orthogonal-init", net("Tanh", depth=20), IN_TIME) == ()


def test_orthogonal_init_across_depth_is_for_deep_tanh_and_linear_nets() -> None:
    assert proposed("orthogonal-init", net("Tanh", depth=12), SMALL)[0].word("method") == "orthogonal"
    assert proposed("orthogonal-init", net("Tanh", depth=6), SMALL) == ()
    assert proposed("orthogonal-init", net("Relu", depth=20), SMALL) == ()


def test_a_hand_written_recurrence_is_found_by_its_time_profile() -> None:
    trace = net("Relu").time_profile("net.2", [1.0] * 40)
    (change,) = proposed("orthogonal-init", trace, says("exploding-gradient", K.RECURRENT_JACOBIAN))
    assert change.modules == ("net.2",)


def test_dead_layers_alone_are_drawn_anew() -> None:
    trace = net("Relu").series(Statistic.WEIGHT_RMS, "net.2.bias", 6.0)
    assert proposed("he-init", trace, BORN_DEAD)[0].modules == ("net.2",)
    (zeroed,) = proposed("zero-bias", trace, BORN_DEAD)
    assert (zeroed.modules, zeroed.word("method"), zeroed.number("bias")) == (("net.2",), "bias", 0.0)


def test_biases_of_usual_size_are_left_alone() -> None:
    assert proposed("zero-bias", net("Relu").series(Statistic.WEIGHT_RMS, "net.2.bias", 0.1), BORN_DEAD) == ()


def test_units_that_died_in_training_are_not_drawn_anew() -> None:
    trace = net("Relu").series(Statistic.WEIGHT_RMS, "net.2.bias", 6.0)
    for remedy in ("zero-bias", "he-init", "lsuv-init", "data-dependent-init"):
        assert proposed(remedy, trace, DIED) == ()


def test_one_of_two_zero_factors_is_drawn() -> None:
    trace = with_module(plain_layers(0), "lora", "LoraLinear")
    held = tuple(
        info.__class__(f"lora.{name}", (4, 64), "float32", optimizer=0, group=0, module="lora")
        for name in "ab"
        for info in net().trace.parameters[:1]
    )
    stuck = says("bad-initialisation", K.WEIGHT_SCALE_SMALL, "cause-zero", parameters=("lora.a", "lora.b"))
    (change,) = proposed("he-init", trace.change(parameters=held).optimizer("AdamW", lr=1e-3), stuck)
    assert (change.parameters, change.modules) == (("lora.a",), ())


def test_what_is_scaled_on_data_has_to_differ_to_begin_with() -> None:
    zero = says("bad-initialisation", K.WEIGHT_SCALE_SMALL, message_key="bad-initialisation.zero")
    assert proposed("data-dependent-init", net("Relu"), zero) == ()
    assert proposed("data-dependent-init", net("Relu"), SMALL)[0].word("method") == "data-dependent"


def test_lsuv_is_not_proposed_where_norms_hold_the_variance() -> None:
    assert proposed("lsuv-init", net("Gelu"), SMALL)
    assert proposed("lsuv-init", with_module(net("Gelu"), "norm", "LayerNorm"), SMALL) == ()


def test_forget_gates_are_opened_for_the_length_of_the_sequences() -> None:
    long, usual = proposed("forget-bias", recurrent("LSTM", length=100), IN_TIME)
    assert long.number("bias") == pytest.approx(math.log(100), rel=0.02)  # two digits
    assert chrono_biases(100)[0] < long.number("bias")  # the longest memory, not the mean one
    assert usual.number("bias") == 1.0
    assert long.modules == ("rnn",)


def test_the_update_gate_of_a_gru_keeps_its_state_as_a_forget_gate_does() -> None:
    long, _ = proposed("forget-bias", recurrent("GRU", length=60), IN_TIME)
    assert long.number("bias") == pytest.approx(math.log(60), rel=0.02)


def test_inputs_of_a_recurrence_that_forgets_nothing_shrink_with_the_root_of_its_length() -> None:
    (drawn,) = proposed("orthogonal-init", recurrent("RNN", length=100), IN_TIME)
    assert drawn.number("input_gain") == pytest.approx(0.1)


@pytest.mark.parametrize(
    "trace", [recurrent("GRU", length=100), recurrent("LSTM", length=100), recurrent("RNN", length=5)]
)
def test_inputs_stay_as_they_are_where_gates_hold_them_back_or_the_sequence_is_short(trace) -> None:
    (drawn,) = proposed("orthogonal-init", trace, IN_TIME)
    assert "input_gain" not in dict(drawn.settings)


@pytest.mark.parametrize(
    "trace", [recurrent("RNN"), recurrent("LSTM", length=5), recurrent("GRU", length=5), net("Tanh")]
)
def test_forget_bias_needs_a_gate_that_keeps_the_state_and_a_memory(trace) -> None:
    assert proposed("forget-bias", trace, IN_TIME) == ()


def test_an_open_gate_is_no_answer_to_growth_in_time() -> None:
    assert proposed("forget-bias", recurrent("LSTM"), says("exploding-gradient", K.RECURRENT_JACOBIAN)) == ()


def residual_net(blocks: int = 16):
    merges = tuple(branch(f"net.{2 * index}", skip=0.5, block=0.5) for index in range(1, blocks))
    return net("Relu", depth=blocks + 2).change(ledgers=()).ledger(weight=6.0, branches=merges)


def test_residual_branches_shrink_with_the_root_of_their_number() -> None:
    deep = says("exploding-gradient", K.DEPTH_WITHOUT_SKIP_OR_NORM)
    (change,) = proposed("small-branches", residual_net(16), deep)
    assert len(change.modules) == 16
    assert change.number("gain") == pytest.approx(1 / 4, rel=0.05)
    assert change.word("method") == "residual"


def test_branches_are_left_alone_in_plain_and_in_normalised_nets() -> None:
    deep = says("exploding-gradient", K.DEPTH_WITHOUT_SKIP_OR_NORM)
    assert proposed("small-branches", net("Relu", depth=16), deep) == ()
    assert proposed("small-branches", with_module(residual_net(), "norm", "LayerNorm"), deep) == ()


def test_the_reason_names_the_factor_of_todays_weights() -> None:
    trace = net("Relu").build()
    (change,) = proposed("he-init", trace, SMALL)
    assert "0.576" in catalogue_remedies()["he-init"].why(change, trace, SMALL).why  # sqrt(64) * 0.072
