"""Learning rates, bounds and epsilons come from what the run measured; none is proposed where another fault speaks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evengrad.core.statistic import Statistic
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies._clip import cost
from tests.builders import TraceBuilder, series
from tests.remedies.nets import K, net, proposed, recurrent, says, with_format, with_module

TOO_HIGH = says("update-too-large", K.LEARNING_RATE_HIGH)
TOO_LOW = says("update-too-small", K.LEARNING_RATE_LOW, message_key="update-too-small.tiny")
CLIPPED = says("clipping-saturated", K.LEARNING_RATE_LOW)
BAD_BATCH = says("gradient-spike", K.DATA, first_step=60)
GROWS_IN_TIME = says("exploding-gradient", K.RECURRENT_JACOBIAN)


def why(remedy: str, builder: TraceBuilder, finding) -> str:
    trace = builder.build()
    (change, *_) = proposed(remedy, trace, finding)
    return catalogue_remedies()[remedy].why(change, trace, finding).why


@pytest.mark.parametrize(("ratio", "expected"), [(3.0, 1e-3), (0.3, 1e-2)])
def test_a_rate_is_lowered_by_how_far_the_first_step_went(ratio, expected) -> None:
    trace = net().per_layer(Statistic.UPDATE_RATIO, first=ratio / 10, last=ratio)
    first, second = (change.number("lr") for change in proposed("lower-lr", trace, TOO_HIGH))
    assert first == pytest.approx(expected, rel=0.05)
    assert second == pytest.approx(expected / 3, rel=0.05)


def test_without_a_measured_update_a_rate_goes_down_by_a_decade() -> None:
    assert [c.number("lr") for c in proposed("lower-lr", net(), TOO_HIGH)] == pytest.approx([1e-2, 3.3e-3])


def test_an_unknown_rate_is_divided() -> None:
    trace = TraceBuilder().mlp(3).optimizer("SGD")
    assert proposed("lower-lr", trace, TOO_HIGH)[0].number("lr_factor") == 0.1


def test_no_rate_is_lowered_against_a_gradient_that_vanishes_with_depth() -> None:
    assert proposed("lower-lr", net(), says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)) == ()


def test_a_rate_is_raised_by_how_little_the_largest_step_moves() -> None:
    trace = net(lr=1e-6).per_layer(Statistic.UPDATE_RATIO, first=3e-8, last=3e-7)
    assert [c.number("lr") for c in proposed("higher-lr", trace, TOO_LOW)] == pytest.approx([0.1, 0.01])


def test_a_rate_of_zero_and_a_schedule_are_not_multiplied() -> None:
    assert proposed("higher-lr", net(lr=0.0), TOO_LOW) == ()
    decayed = says("update-too-small", K.LEARNING_RATE_LOW, message_key="update-too-small.decayed")
    assert proposed("higher-lr", net(), decayed) == ()


def test_gradients_that_flush_to_zero_are_not_answered_with_a_higher_rate() -> None:
    trace = with_format(net(), "bfloat16").per_layer(Statistic.UPDATE_RATIO, first=1e-4, last=1e-4)
    assert proposed("higher-lr", trace, says("precision-loss", K.PRECISION, "cause-rounding"))
    assert proposed("higher-lr", trace, says("precision-loss", K.PRECISION, "cause-unscaled")) == ()


def test_a_schedule_that_took_the_rate_away_is_dropped() -> None:
    trace = net().series(Statistic.LEARNING_RATE, "0/0", lambda step: 0.1 * 0.7**step)
    assert proposed("constant-lr", trace, TOO_LOW)[0].word("schedule") == "constant"
    assert proposed("constant-lr", net(), TOO_LOW) == ()


def test_a_warm_up_lasts_for_adams_memory_or_a_fifth_of_the_run() -> None:
    missing = says("update-too-large", K.WARMUP_MISSING)
    assert proposed("warmup", net(optimizer="Adam", beta2=0.999), missing)[0].number("steps") == 20
    assert proposed("warmup", net(optimizer="Adam", beta2=0.9), missing)[0].number("steps") == 20
    short = TraceBuilder(steps=8).mlp(3).optimizer("Adam", lr=1.0)
    assert proposed("warmup", short, missing) == ()


def test_a_bound_comes_from_the_healthy_steps_before_a_bad_batch() -> None:
    norms = [1.0 + (step % 5) / 10 if step < 60 else 1e5 for step in range(100)]
    (change,) = proposed("clip-norm", net().series(Statistic.GRAD_NORM, "", norms), BAD_BATCH)
    assert change.number("threshold") == pytest.approx(1.5 * np.quantile(norms[:60], 0.95), rel=0.05)  # two digits


def test_without_a_healthy_past_a_recurrence_is_clipped_at_one() -> None:
    trace = recurrent("RNN").series(Statistic.GRAD_NORM, "", 1e15)
    assert proposed("clip-norm", trace, GROWS_IN_TIME)[0].number("threshold") == 1.0


@pytest.mark.parametrize("remedy", ["clip-norm", "clip-value", "adaptive-clip", "l2", "weight-decay"])
@pytest.mark.parametrize("rule", ["exploding-gradient", "vanishing-gradient", "bad-initialisation"])
@pytest.mark.parametrize("cause", [K.WEIGHT_SCALE_LARGE, K.WEIGHT_SCALE_SMALL, K.ACTIVATION_DERIVATIVE])
def test_what_lies_in_the_network_is_neither_clipped_nor_penalised(remedy, rule, cause) -> None:
    assert proposed(remedy, net(), says(rule, cause)) == ()


def test_steps_that_are_too_long_from_the_first_on_are_not_clipped() -> None:
    assert proposed("clip-norm", net(), TOO_HIGH) == ()


def test_the_cost_of_a_bound_is_that_of_clipping_step_by_step() -> None:
    norms = np.array([0.5, 1.0, 2.0, 4.0])
    price = cost(TraceBuilder(steps=4).series(Statistic.GRAD_NORM, "", norms.tolist()).build(), 1.0)
    coefficients = np.minimum(1.0, 1.0 / norms)  # as torch's clip_grad_norm_ has it
    assert price.rate == np.mean(coefficients < 1)
    assert price.cut == pytest.approx(coefficients.mean())


def test_the_reason_states_clip_rate_and_cut_of_the_effective_learning_rate() -> None:
    norms = [1.0 + (step % 50 == 49) * 9 for step in range(100)]
    text = why("clip-norm", net().series(Statistic.GRAD_NORM, "", norms), says("gradient-spike", K.DATA))
    assert "at 1.5 it acts on 2 % of the steps" in text
    assert "to 98 %" in text


def test_a_bound_below_the_usual_norm_is_raised_or_removed() -> None:
    trace = net().series(Statistic.CLIP_MAX_NORM, "", 1e-4)
    (raised,) = proposed("raise-clip", trace, CLIPPED)
    assert raised.number("threshold") == pytest.approx(1.5 * 5.0, rel=0.05)
    (removed,) = proposed("remove-clip", trace, CLIPPED)
    assert removed.number("threshold") == math.inf


def test_clipping_that_holds_spikes_is_neither_removed_nor_raised_over_them() -> None:
    spiky = [10.0 ** (step % 10) for step in range(100)]
    trace = net().series(Statistic.CLIP_MAX_NORM, "", 1e-4).series(Statistic.GRAD_NORM, "", spiky)
    assert proposed("remove-clip", trace, CLIPPED) == ()
    assert proposed("raise-clip", trace, CLIPPED) == ()


@pytest.mark.parametrize("remedy", ["raise-clip", "remove-clip"])
def test_a_run_that_does_not_clip_has_no_bound_to_be_changed(remedy) -> None:
    assert proposed(remedy, net(), CLIPPED) == ()


def test_entries_are_cut_at_ten_times_their_usual_size() -> None:
    trace = net().per_layer(Statistic.GRAD_RMS, first=1e-4, last=1e-2)
    assert proposed("clip-value", trace, BAD_BATCH)[0].number("threshold") == pytest.approx(0.1)


def test_adaptive_clipping_bounds_by_weights_only_what_spikes() -> None:
    assert proposed("adaptive-clip", net(), BAD_BATCH)[0].number("threshold") == 0.01
    assert proposed("adaptive-clip", net(), TOO_HIGH) == ()


@pytest.mark.parametrize("size", [1e-10, 3e-12])
def test_eps_goes_a_hundred_times_below_the_gradient(size) -> None:
    trace = net(optimizer="Adam", eps=1e-8).per_layer(Statistic.GRAD_RMS, first=size, last=size)
    (change,) = proposed("lower-eps", trace, says("update-too-small", K.OPTIMIZER_EPSILON))
    assert change.number("eps") == 10 ** math.floor(math.log10(size / 100))


def test_eps_is_not_lowered_below_ordinary_gradients_nor_in_float16() -> None:
    ordinary = net(optimizer="Adam", eps=1e-8).per_layer(Statistic.GRAD_RMS, first=1e-2, last=1e-2)
    below = says("precision-loss", K.OPTIMIZER_EPSILON)
    assert proposed("lower-eps", ordinary, below) == ()
    tiny = with_format(net(optimizer="Adam", eps=1e-8), "float16").per_layer(Statistic.GRAD_RMS, first=1e-7, last=1e-7)
    assert proposed("lower-eps", tiny, below) == ()


def test_an_eps_that_float16_cannot_hold_is_raised() -> None:
    zero = says("non-finite", K.OPTIMIZER_EPSILON)
    half = with_format(net(optimizer="Adam", eps=1e-8), "float16")
    assert [change.number("eps") for change in proposed("raise-eps", half, zero)] == [1e-3, 1e-4]
    assert proposed("raise-eps", net(optimizer="Adam", eps=1e-8), zero) == ()


def growing(optimizer: str, times: float, **group: float) -> TraceBuilder:
    sizes = {f"net.{2 * i}.weight": series(lambda step: 0.1 * times ** (step / 99), list(range(100))) for i in range(6)}
    builder = net(optimizer=optimizer, **group)
    for name, values in sizes.items():
        builder.series(Statistic.WEIGHT_RMS, name, values.values.tolist())
    return builder


def test_a_penalty_is_for_weights_that_grow_under_sgd_and_decay_for_those_under_adam() -> None:
    drift = says("non-finite", K.LEARNING_RATE_HIGH)
    assert proposed("l2", growing("SGD", 10.0), drift)[0].number("coefficient") == 1e-3
    assert proposed("l2", growing("Adam", 10.0), drift) == ()
    (decay,) = proposed("weight-decay", growing("Adam", 10.0), drift)
    assert (decay.word("optimizer"), decay.number("weight_decay")) == ("AdamW", 0.01)
    (plain,) = proposed("weight-decay", growing("SGD", 10.0), drift)
    assert (plain.word("optimizer"), plain.number("weight_decay")) == ("", 5e-4)


@pytest.mark.parametrize("remedy", ["l2", "weight-decay"])
def test_weights_that_do_not_grow_need_no_penalty(remedy) -> None:
    assert proposed(remedy, growing("SGD", 1.2), says("non-finite", K.LEARNING_RATE_HIGH)) == ()


def test_decay_that_is_there_is_not_doubled() -> None:
    drift = says("non-finite", K.LEARNING_RATE_HIGH)
    assert proposed("weight-decay", growing("AdamW", 10.0, weight_decay=0.01), drift) == ()


def test_decay_is_lowered_to_a_tenth_of_the_weights_in_the_whole_run() -> None:
    taken = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL, "cause-decay")
    (change,) = proposed("lower-weight-decay", net(lr=0.1, weight_decay=1.0), taken)
    assert 1 - (1 - 0.1 * change.number("weight_decay")) ** 100 <= 0.1
    small = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)
    assert proposed("lower-weight-decay", net(lr=0.1, weight_decay=1.0), small) == ()


def test_adam_is_for_steps_that_scale_with_the_gradient() -> None:
    (change,) = proposed("other-optimizer", net(), TOO_HIGH)
    assert (change.word("optimizer"), change.number("lr")) == ("Adam", 1e-3)
    assert proposed("other-optimizer", net(optimizer="RMSprop"), TOO_HIGH) == ()
    assert proposed("other-optimizer", net(), says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)) == ()


def test_single_precision_is_for_runs_in_half_precision() -> None:
    lost = says("non-finite", K.LOSS_NUMERICS, "cause-numerics")
    assert proposed("fp32", with_format(net(), "float16"), lost)
    assert proposed("fp32", net(), lost) == ()
    assert proposed("fp32", net(), says("precision-loss", K.PRECISION))


def test_bfloat16_is_for_range_not_for_digits() -> None:
    scaled = net().series(Statistic.LOSS_SCALE, "", 65536.0)
    assert proposed("bf16", scaled, says("loss-scale-collapse", K.PRECISION))[0].word("dtype") == "bfloat16"
    assert proposed("bf16", scaled, says("precision-loss", K.PRECISION, "cause-rounding")) == ()
    assert proposed("bf16", with_format(net(), "float16"), says("non-finite", K.PRECISION)) == ()
    assert proposed("bf16", with_module(net(), "a", "Linear"), says("non-finite", K.PRECISION)) == ()
