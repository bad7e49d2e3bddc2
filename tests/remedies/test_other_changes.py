"""Activations, norms, shortcuts, units of data, guards and the loop: what is proposed, and what is not."""

from __future__ import annotations

import math

import pytest

from evengrad.core.event import EventKind
from evengrad.core.info import ParamInfo, SourceLine
from evengrad.core.statistic import Statistic
from evengrad.remedies._catalogue import catalogue_remedies
from tests.builders import TraceBuilder, branch
from tests.remedies.nets import K, line, net, proposed, says, with_module

FLAT = says("vanishing-gradient", K.ACTIVATION_DERIVATIVE)
DEEP = says("exploding-gradient", K.DEPTH_WITHOUT_SKIP_OR_NORM)
SMALL = says("vanishing-gradient", K.WEIGHT_SCALE_SMALL)
DIED = says("dead-units", K.LEARNING_RATE_HIGH)
BORN_DEAD = says("dead-units", K.DEAD_UNITS, "cause-born", parameters=("net.2.weight",))
INPUT = says("input-scale", K.INPUT_SCALE)
TARGET = says("target-scale", K.TARGET_SCALE)
OUTPUT = says("constant-output", K.OUTPUT_ACTIVATION, "cause-output")
NUMERICS = says("non-finite", K.LOSS_NUMERICS, "cause-numerics")
CUT = says("no-gradient", K.DISCONNECTED, modules=("net.0",), parameters=("net.0.weight",))
SWAPS = "relu tanh leaky-relu prelu selu gelu silu".split()


@pytest.mark.parametrize("remedy", SWAPS)
def test_sigmoid_is_swapped_at_the_hidden_sites_only(remedy) -> None:
    (change,) = proposed(remedy, net("Sigmoid", depth=4), FLAT)
    assert change.word("to") == remedy
    assert change.modules == ("net.1", "net.3", "net.5")


@pytest.mark.parametrize("remedy", SWAPS)
@pytest.mark.parametrize("operation", ["Tanh", "Relu", "Gelu"])
def test_activations_with_slope_one_are_not_swapped_for_a_gradient_lost_in_depth(remedy, operation) -> None:
    assert proposed(remedy, net(operation, depth=12), FLAT) == ()
    assert proposed(remedy, net(operation, depth=12), SMALL) == ()


def test_rectifiers_that_died_in_training_get_a_slope_those_born_dead_do_not() -> None:
    for remedy, slope in (("leaky-relu", 0.1), ("prelu", 0.25)):
        assert proposed(remedy, net(), DIED)[0].number("slope") == slope
        assert proposed(remedy, net(), BORN_DEAD) == ()
    assert proposed("relu", net(), DIED) == ()


def output(operation: str = "Relu", outputs: int = 1) -> TraceBuilder:
    """Return a net whose last layer has an activation behind it."""
    builder = net("Tanh", depth=3).activations("net.4:out", operation=operation)
    named = [p for p in builder.trace.parameters if p.name != "net.4.weight"]
    last = ParamInfo("net.4.weight", (outputs, 64), "float32", optimizer=0, group=0, module="net.4")
    sites = list(builder.trace.activations)
    sites[-1] = sites[-1].__class__("net.5", "net.5", operation)
    return builder.change(parameters=(*named, last), activations=tuple(sites))


def test_the_outputs_activation_is_dropped_and_hidden_ones_stay() -> None:
    (change,) = proposed("drop-output-activation", output(), OUTPUT)
    assert (change.modules, change.word("to")) == (("net.5",), "identity")
    assert proposed("drop-output-activation", net("Tanh"), OUTPUT) == ()


def test_a_softmax_that_the_loss_applies_again_is_dropped() -> None:
    trace = net().event(EventKind.SQUASHED_TWICE, 0, line=9, operation="Softmax", site="net.6", module="net.6")
    twice = says("saturated-activation", K.OUTPUT_ACTIVATION, "cause-twice")
    (change,) = proposed("drop-output-activation", trace, twice)
    assert (change.modules, change.lines[0].line) == (("net.6",), 9)
    assert "Softmax" in catalogue_remedies()["drop-output-activation"].why(change, trace.build()).why


def test_a_softmax_over_one_score_becomes_a_sigmoid_over_several_it_stays() -> None:
    swallowed = says("constant-output", K.OUTPUT_ACTIVATION, "cause-swallowed")
    (change,) = proposed("sigmoid-output", with_module(output(), "out", "Softmax"), swallowed)
    assert (change.modules, change.word("to")) == (("out",), "sigmoid")
    assert proposed("sigmoid-output", with_module(output(outputs=3), "out", "Softmax"), swallowed) == ()
    assert proposed("sigmoid-output", output(), swallowed) == ()


def test_shortcuts_are_for_deep_plain_nets() -> None:
    (change,) = proposed("residual", net(depth=16), DEEP)
    assert change.number("scale") == pytest.approx(0.25)
    assert proposed("residual", net(depth=4), DEEP) == ()
    skips = net(depth=16).change(ledgers=()).ledger(branches=(branch("net.2", a=0.5, b=0.5),))
    assert proposed("residual", skips, DEEP) == ()


def test_norms_are_for_nets_without() -> None:
    for remedy, kind in (("layer-norm", "layer"), ("batch-norm", "batch")):
        assert proposed(remedy, net(), SMALL)[0].word("kind") == kind
        assert proposed(remedy, with_module(net(), "norm", "BatchNorm1d"), SMALL) == ()
    assert proposed("layer-norm", net("Sigmoid"), FLAT) == ()


def test_batch_norm_is_not_for_deep_plain_stacks_small_batches_or_attention() -> None:
    assert proposed("batch-norm", net(depth=30), SMALL) == ()
    assert proposed("batch-norm", net().series(Statistic.BATCH_SIZE, "", 4.0), SMALL) == ()
    assert proposed("batch-norm", with_module(net(), "attention", "MultiheadAttention"), SMALL) == ()
    assert proposed("layer-norm", net(depth=30), SMALL)


def data(rms: float, mean: float, spread: float = 1.2) -> TraceBuilder:
    return (
        net()
        .series(Statistic.INPUT_RMS, "net.0", rms)
        .series(Statistic.INPUT_MEAN, "net.0", mean)
        .series(Statistic.FEATURE_SPREAD, "net.0", spread)
    )


def test_inputs_are_brought_to_mean_zero_and_size_one() -> None:
    (change,) = proposed("normalise-input", data(math.hypot(500, 300), 500), INPUT)
    assert (change.number("mean"), change.number("std")) == pytest.approx((500, 300))


def test_columns_of_different_size_get_numbers_of_their_own() -> None:
    (change,) = proposed("normalise-input", data(1e4, 0.0, spread=2e4), INPUT)
    assert change.word("per") == "column"


def test_inputs_of_size_one_are_left_alone_and_unknown_ones_too() -> None:
    assert proposed("normalise-input", data(1.05, 0.1), INPUT) == ()
    assert proposed("normalise-input", net(), INPUT) == ()
    assert proposed("normalise-input", data(500, 0), SMALL) == ()


def test_targets_are_brought_to_size_one() -> None:
    centred = net().series(Statistic.TARGET_RMS, "", 3000.0).series(Statistic.TARGET_SPREAD, "", 2990.0)
    (change,) = proposed("normalise-target", centred, TARGET)
    assert (change.number("mean"), change.number("std")) == (0.0, 2990.0)
    far = net().series(Statistic.TARGET_RMS, "", math.hypot(2e4, 5e3)).series(Statistic.TARGET_SPREAD, "", 5e3)
    numbers, column = proposed("normalise-target", far, TARGET)
    assert (numbers.number("mean"), numbers.number("std")) == (2e4, 5e3)
    assert column.word("per") == "column"


@pytest.mark.parametrize(("size", "unit"), [(11.0, 22.0), (80.0, 255.0)])
def test_targets_of_a_binary_loss_are_brought_into_zero_to_one(size, unit) -> None:
    (change,) = proposed("normalise-target", net().series(Statistic.BINARY_TARGET_RMS, "", size), TARGET)
    assert change.number("std") == unit
    assert proposed("normalise-target", net().series(Statistic.BINARY_TARGET_RMS, "", 0.7), TARGET) == ()


def test_targets_of_size_one_are_left_alone() -> None:
    usual = net().series(Statistic.TARGET_RMS, "", 1.1).series(Statistic.TARGET_SPREAD, "", 1.05)
    assert proposed("normalise-target", usual, TARGET) == ()


def broken(operation: str, text: str, phase: str = "forward", **details: str) -> TraceBuilder:
    builder = net().event(EventKind.NON_FINITE, 60, phase=phase, operation=operation, **details)
    (event,) = builder.trace.events
    return builder.change(events=(event.__class__(event.kind, 60, details=event.details, source=line(text)),))


@pytest.mark.parametrize(
    ("operation", "text", "phase", "guarded"),
    [
        ("Log", "torch.log(p)", "forward", "log"),
        ("Div", "a / b", "backward", "div"),
        ("Pow", "torch.sqrt(d.pow(2).sum(1))", "backward", "sqrt"),
        ("Acos", "torch.acos(c)", "backward", "acos"),
        ("Mul", "x / n.sum()", "backward", "div"),
    ],
)
def test_the_operation_that_broke_is_guarded(operation, text, phase, guarded) -> None:
    (change,) = proposed("loss-eps", broken(operation, text, phase), NUMERICS)
    assert (change.word("operation"), change.number("eps")) == (guarded, 1e-8)
    assert change.lines[0].text == text


def test_exponentials_are_bounded_by_their_format() -> None:
    assert proposed("loss-eps", broken("Exp", "x.exp()"), NUMERICS)[0].number("bound") == 80
    assert proposed("loss-eps", broken("Exp", "x.half().exp()"), NUMERICS)[0].number("bound") == 8
    assert proposed("loss-eps", broken("Log", "torch.log(p)", dtype="float16"), NUMERICS)[0].number("eps") == 1e-4


def test_nothing_is_guarded_without_a_line_or_where_the_data_or_the_update_broke() -> None:
    nowhere = net().event(EventKind.NON_FINITE, 60, phase="forward", operation="Log")
    assert proposed("loss-eps", nowhere, NUMERICS) == ()
    for phase in ("data", "update"):
        assert proposed("loss-eps", broken("Log", "torch.log(p)", phase), NUMERICS) == ()
    assert proposed("loss-eps", broken("Addmm", "self.fc(x)"), NUMERICS) == ()


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (EventKind.ZERO_GRAD_MISSING, "zero-grad"),
        (EventKind.ZERO_GRAD_BEFORE_STEP, "zero-grad"),
        (EventKind.CLIP_BEFORE_BACKWARD, "clip-before-step"),
        (EventKind.CLIP_AFTER_STEP, "clip-before-step"),
        (EventKind.CLIP_BEFORE_UNSCALE, "unscale-before-clip"),
        (EventKind.DOUBLE_STEP, "single-step"),
        (EventKind.STEP_WITHOUT_BACKWARD, "step-after-backward"),
        (EventKind.FOREIGN_PARAMETERS, "reconnect"),
    ],
)
def test_each_fault_of_the_loop_has_its_own_repair_and_no_other(kind, remedy) -> None:
    cause, key = (
        (K.DISCONNECTED, "cause-foreign") if remedy == "reconnect" else (K.LOOP_ORDER, "cause-order")
    )  # fmt: skip
    disorder = says("loop-order", cause, key, message_key=f"loop-order.{kind.value}")
    trace = net().event(kind, 3, line=50)
    answers = {name: changes for name in catalogue_remedies() if (changes := proposed(name, trace, disorder))}
    assert set(answers) == {remedy}
    (change,) = answers[remedy]
    assert change.word("fault") == ("foreign" if remedy == "reconnect" else kind.value)
    assert change.lines[0].line == 50


def test_a_cut_is_looked_for_where_the_gradient_is_missing() -> None:
    (change,) = proposed("reconnect", net(), CUT)
    assert (change.modules, change.parameters, change.word("fault")) == (("net.0",), ("net.0.weight",), "auto")


def test_a_layer_of_zeros_outside_the_optimizer_is_given_to_it() -> None:
    unheld = says("loop-order", K.DISCONNECTED, "cause-zero", parameters=("head.weight",))
    (change,) = proposed("reconnect", net(), unheld)
    assert (change.parameters, change.word("fault")) == (("head.weight",), "missing")


def test_units_that_are_dead_are_not_reconnected() -> None:
    assert proposed("reconnect", net(), says("no-gradient", K.DEAD_UNITS)) == ()


def test_a_step_function_gives_way_to_tanh_on_its_own_line() -> None:
    where = SourceLine("train.py", 19, "x = torch.sign(self.a(x))")
    flat = says("no-gradient", K.ACTIVATION_DERIVATIVE, "cause-flat", source=(where, SourceLine("train.py", 7)))
    (change,) = proposed("tanh", net("Relu"), flat)
    assert (change.lines, change.modules, change.word("to")) == ((where,), (), "tanh")
