import functools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from evengrad.errors import UsageError
from evengrad.theory import as_activation, known_activations, moments

MODULES = [
    nn.CELU(), nn.CELU(0.7), nn.ELU(), nn.ELU(1.3), nn.GELU(), nn.GELU(approximate="tanh"), nn.Hardshrink(),
    nn.Hardshrink(0.3), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(), nn.Hardtanh(-0.5, 2.0), nn.Identity(),
    nn.LeakyReLU(), nn.LeakyReLU(0.2), nn.LogSigmoid(), nn.Mish(), nn.PReLU(), nn.PReLU(init=0.1), nn.RReLU(),
    nn.RReLU(0.2, 0.4), nn.ReLU(), nn.ReLU6(), nn.SELU(), nn.SiLU(), nn.Sigmoid(), nn.Softplus(),
    nn.Softplus(beta=2.0, threshold=5.0), nn.Softshrink(), nn.Softshrink(0.7), nn.Softsign(), nn.Tanh(),
    nn.Tanhshrink(), nn.Threshold(0.3, -1.0),
]  # fmt: skip
FUNCTIONS = [
    functional.celu, functional.elu, functional.gelu, functional.hardshrink, functional.hardsigmoid,
    functional.hardswish, functional.hardtanh, functional.leaky_relu, functional.logsigmoid, functional.mish,
    functional.relu, functional.relu6, functional.rrelu, functional.selu, functional.sigmoid, functional.silu,
    functional.softplus, functional.softshrink, functional.softsign, functional.tanh, functional.tanhshrink,
    torch.relu, torch.tanh, torch.sigmoid, torch.erf, torch.sin,
]  # fmt: skip
POINTS = np.concatenate([np.linspace(-9, 9, 181) + 0.0123, [-0.05, 0.07, 25.0, -25.0]])


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_equals_torch_in_value_and_derivative(module: nn.Module) -> None:
    assert_equals_torch(module.double().eval(), as_activation(module))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_function_equals_torch_in_value_and_derivative(function) -> None:
    assert_equals_torch(function, as_activation(function))


def assert_equals_torch(function, activation) -> None:
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = function(x)
    y.sum().backward()
    np.testing.assert_allclose(activation.value(POINTS), y.detach().numpy(), rtol=1e-12, atol=1e-14)
    # torch rounds some parameters to float32 on the way back (CELU's 1 / alpha).
    np.testing.assert_allclose(activation.derivative(POINTS), x.grad.numpy(), rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize(
    "module_class",
    [
        found
        for found in vars(nn.modules.activation).values()
        if isinstance(found, type)
        and issubclass(found, nn.Module)
        and found.__module__ == nn.modules.activation.__name__
    ],
    ids=lambda found: found.__name__,
)
def test_every_activation_class_of_torch_is_known_or_refused_as_not_elementwise(module_class: type) -> None:
    blocks = {"GLU", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "LogSoftmax"}
    if module_class.__name__ in blocks:
        with pytest.raises(UsageError, match="is not element-wise"):
            as_activation(module_class)
    elif module_class is nn.Threshold:
        assert as_activation(module_class).name == "threshold"
    else:
        module = module_class()
        assert as_activation(module) is as_activation(module_class)


def test_spellings_share_one_activation() -> None:
    expected = as_activation("leaky_relu", {"negative_slope": 0.2})
    for spelling in (
        "LeakyReLU(0.2)", "leaky_relu(negative_slope=0.2)", nn.LeakyReLU(0.2),
        functools.partial(functional.leaky_relu, negative_slope=0.2),
    ):  # fmt: skip
        assert as_activation(spelling).parameters == expected.parameters
        assert as_activation(spelling).name == "leaky_relu"
    assert as_activation("swish") is as_activation(nn.SiLU())
    assert as_activation(functional.relu_) is as_activation(nn.ReLU(inplace=True))


@pytest.mark.parametrize(
    "function",
    [
        np.tanh,
        math.tanh,
        torch.tanh,
        "math:tanh",
        lambda x: torch.tanh(x) * 1.0,
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        lambda x: math.tanh(x) if x > 0 else -math.tanh(-x),
        nn.Sequential(nn.Identity(), nn.Tanh()),
    ],
)
def test_any_kind_of_callable_gives_the_same_moments_as_the_closed_form(function) -> None:
    known, found = moments(as_activation("tanh"), 1.3), moments(as_activation(function), 1.3)
    assert found.square == pytest.approx(known.square, abs=1e-11)
    assert found.slope_square == pytest.approx(known.slope_square, abs=1e-10)
    assert found.square_growth == pytest.approx(known.square_growth, abs=1e-11)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x > 0.2 else 0.1 * x + 0.18,
        lambda x: torch.where(x > 0.2, x, 0.1 * x + 0.18),
        lambda x: np.where(x > 0.2, x, 0.1 * x + 0.18),
    ],
    ids=["floats", "tensors", "arrays"],
)
def test_kink_of_a_callable_is_found_and_integrated_across(function) -> None:
    activation = as_activation(function)
    assert activation.kinks == (0.2,)
    above = 0.5 * math.erfc(0.2 / math.sqrt(2))
    assert moments(activation, 1.0).slope_square == pytest.approx(above + 0.01 * (1 - above), abs=1e-10)


def test_single_precision_inside_a_callable_is_tolerated() -> None:
    activation = as_activation(lambda x: np.asarray(np.tanh(x.astype(np.float32)), dtype=np.float64))
    assert moments(activation, 1.0).square == pytest.approx(moments(as_activation("tanh"), 1.0).square, abs=1e-7)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "xyzzy",
            r"unknown activation 'xyzzy' \(known: celu, elu, .*tanhshrink, threshold; or package.module:function\)",
        ),
        ("softmax", "softmax is not element-wise"),
        ("SwiGLU", "SwiGLU is not element-wise"),
        (nn.Softmax(-1), "Softmax is not element-wise"),
        (lambda x: np.sort(x), "depends on other inputs than its own"),
        (lambda x: torch.softmax(x, -1), "depends on other inputs than its own"),
        (lambda x: x.sum(), r"maps shape \(5,\) to \(\)"),
        (np.log, "finite on the real axis; it is not at x = -64"),
        (lambda x: x + np.random.default_rng().standard_normal(x.shape), "two calls of .* differ"),
        (lambda x: x.nonsense(), "takes arrays, tensors or floats"),
        ("relu(3)", r"relu: too many positional arguments \(it takes no parameters\)"),
        ("leaky_relu(slope=3)", "it takes negative_slope"),
        ("gelu('exact')", "expected approximate='none' or 'tanh', got 'exact'"),
        ("leaky(", "expected an activation such as"),
        ("3(4)", "expected an activation such as"),
        ("math:nope", "cannot import 'math:nope'"),
        ("./pkg/acts.py:f", "names a file; write 'pkg.acts:f'"),
        ("no_such_package:f", "cannot import 'no_such_package:f'"),
        ("math:pi", "expected 'math:pi' to name a callable, it is a float"),
        (functools.partial(functional.leaky_relu, torch.zeros(1)), "keywords only"),
        (nn.Sequential, r"expected an instance of Sequential, got the class"),
        ("softplus(beta=0)", "softplus: float division by zero"),
    ],
)
def test_what_cannot_be_pictured_is_refused_with_the_reason(wrong, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_activation(wrong)


def test_parameters_of_an_unknown_callable_are_refused() -> None:
    with pytest.raises(UsageError, match="takes no parameters here, got beta"):
        as_activation(np.tanh, {"beta": 2.0})


def test_prelu_with_unequal_slopes_is_refused() -> None:
    module = nn.PReLU(2)
    with torch.no_grad():
        module.weight[0] = 0.5
    with pytest.raises(UsageError, match="expected one slope in PReLU, its channels have 2"):
        as_activation(module)


def test_a_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.PReLU(), nn.Tanh()).train()
    as_activation(module)
    assert module.training
    assert module[0].weight.dtype == torch.float32
    assert module[0].weight.grad is None


def test_theory_needs_no_torch() -> None:
    code = "import sys, math, evengrad.theory as t; t.picture(math.tanh, depth=2); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_known_activations_are_named_by_name() -> None:
    assert all(as_activation(name).name == name for name in known_activations())


@pytest.mark.parametrize(
    ("spelling", "label"),
    [
        ("leaky_relu:0.2", "leaky_relu(negative_slope=0.2)"),
        ("nn.Softplus(beta=2)", "softplus(beta=2, threshold=20.0)"),
        ("torch.nn.LeakyReLU(0.1)", "leaky_relu(negative_slope=0.1)"),
        ("torch.nn.functional.gelu", "gelu(approximate=none)"),
        ("F.hardtanh(-2, 2)", "hardtanh(min_val=-2, max_val=2)"),
        ("hardtanh:-2,2", "hardtanh(min_val=-2, max_val=2)"),
        ("torch.nn:GELU", "gelu(approximate=none)"),
        ("torch.nn:LeakyReLU(0.3)", "leaky_relu(negative_slope=0.3)"),
        ("torch.nn.functional:silu", "silu"),
        ("gelu_new", "gelu(approximate=tanh)"),
        ("Hard-Sigmoid", "hardsigmoid"),
        ("lrelu", "leaky_relu(negative_slope=0.01)"),
    ],
)
def test_usual_spellings_are_understood(spelling: str, label: str) -> None:
    assert as_activation(spelling).label == label


@pytest.mark.parametrize(
    ("typed", "meant"), [("geluu", "'gelu'"), ("leakyrelu6", "'leaky_relu'"), ("sigmod", "'sigmoid'")]
)
def test_a_misspelt_name_gets_a_suggestion(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean .*{meant}"):
        as_activation(typed)


@pytest.mark.parametrize("text", ["gelu(approximate=__import__('os'))", "(lambda: 0)()", "a[0](1)", "gelu(*[1])"])
def test_text_is_never_evaluated(text: str) -> None:
    with pytest.raises(UsageError, match="expected an activation such as"):
        as_activation(text)


def test_what_a_users_module_does_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "theirs_fails.py").write_text("1 / 0\n")
    (tmp_path / "theirs_exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "theirs_works.py").write_text(
        "import numpy as np\n"
        "class Scaled:\n"
        "    def __init__(self, scale=1.0):\n        self.scale = scale\n"
        "    def __call__(self, x):\n        return self.scale * np.tanh(x)\n"
        "class Needy:\n    def __init__(self, scale):\n        pass\n"
        "class Plain:\n    pass\n"
    )
    with pytest.raises(UsageError, match="importing 'theirs_fails' fails with ZeroDivisionError"):
        as_activation("theirs_fails:f")
    with pytest.raises(UsageError, match="importing 'theirs_exits' fails with SystemExit: 3"):
        as_activation("theirs_exits:f")
    assert moments(as_activation("theirs_works:Scaled"), 1.0).square == moments(as_activation(np.tanh), 1.0).square
    doubled = moments(as_activation("theirs_works:Scaled(2.0)"), 1.0).square
    assert doubled == pytest.approx(4 * moments(as_activation("tanh"), 1.0).square, rel=1e-10)
    with pytest.raises(UsageError, match="'theirs_works:Needy' cannot be made: TypeError"):
        as_activation("theirs_works:Needy")
    with pytest.raises(UsageError, match="expected 'theirs_works:Plain' to give a callable, it gives a Plain"):
        as_activation("theirs_works:Plain")
