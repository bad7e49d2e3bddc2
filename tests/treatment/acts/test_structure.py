"""Acts on modules and calls, against the same change made by hand in the source."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad import apply
from evengrad.core.info import SourceLine
from evengrad.core.plan import Act
from evengrad.errors import TreatmentError
from tests.treatment.programs import Functional, data, plan, steps

X = data()[0]


def by_hand(model: Functional, first: Callable[[Tensor], Tensor], later: Callable[[Tensor], Tensor]) -> Tensor:
    x = X
    for number, layer in enumerate(model.layers):
        x = (later if number else first)(layer(x))
    return model.head(x * model.gate(x).tanh())


def test_functional_sites_of_one_line_are_exchanged_one_by_one() -> None:
    model = Functional()
    applied = apply(plan(Act.ACTIVATE, "layers.1:sigmoid", "layers.2:sigmoid", to="relu"), model, batch=X)
    assert torch.equal(model(X), by_hand(model, torch.sigmoid, torch.relu))
    assert torch.equal(model(X), by_hand(model, torch.sigmoid, torch.relu))  # calls are counted afresh in each pass
    applied.revert()
    assert torch.equal(model(X), by_hand(model, torch.sigmoid, torch.sigmoid))


def test_functional_sites_are_exchanged_by_their_line() -> None:
    code = Functional.forward.__code__
    with open(code.co_filename, encoding="utf-8") as file:
        number = next(i for i, line in enumerate(file, 1) if "torch.sigmoid(layer" in line)
    model = Functional()
    apply(plan(Act.ACTIVATE, lines=(SourceLine(code.co_filename, number),), to="leaky-relu", slope=0.3), model)
    leaky = nn.LeakyReLU(0.3)
    assert torch.equal(model(X), by_hand(model, leaky, leaky))


def test_identity_takes_an_activation_out() -> None:
    model = Functional()
    apply(plan(Act.ACTIVATE, "layers.0:sigmoid", to="identity"), model, batch=X)
    assert torch.equal(model(X), by_hand(model, lambda x: x, torch.sigmoid))


def test_calls_outside_the_users_code_and_outside_the_model_stay() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rnn = nn.Linear(6, 6), nn.LSTMCell(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(torch.sigmoid(self.first(x)))[0]

    net = Net()
    apply(plan(Act.ACTIVATE, "first:sigmoid", to="relu"), net, batch=X)
    assert torch.equal(net(X), net.rnn(torch.relu(net.first(X)))[0])
    assert torch.equal(torch.sigmoid(X), X.sigmoid())


def test_in_place_calls_write_what_the_new_function_gives() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            F.relu_(x)
            return x + 1

    net = Net()
    apply(plan(Act.ACTIVATE, "first:relu", to="tanh"), net, batch=X)
    out = net(X)
    assert torch.equal(out, torch.tanh(net.first(X)) + 1)
    out.sum().backward()
    expected = torch.autograd.grad(torch.tanh(net.first(X)).sum(), net.first.weight)[0]
    assert net.first.weight.grad is not None
    assert torch.allclose(net.first.weight.grad, expected)


def test_activation_modules_are_exchanged_in_their_parents() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 2))
    before = net[1]
    applied = apply(plan(Act.ACTIVATE, "1", to="selu"), net)
    assert isinstance(net[1], nn.SELU)
    assert torch.equal(net(X), net[2](F.selu(net[0](X))))
    applied.revert()
    assert net[1] is before


def test_activation_module_shared_by_layers_is_exchanged_at_one_of_them() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.second(self.act(self.first(x))))

    net = Shared()
    apply(plan(Act.ACTIVATE, "second:tanh", to="relu"), net, batch=X)
    assert torch.equal(net(X), torch.relu(net.second(torch.tanh(net.first(X)))))


@pytest.mark.parametrize("functional", [True, False])
def test_prelu_learns_its_slope(functional: bool) -> None:
    """The target is a leaky ReLU of slope 0.6; only the slope can reach it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act = nn.Linear(6, 6), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.layer(x)) if functional else self.act(self.layer(x))

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": 0.5})
    apply(plan(Act.ACTIVATE, "layer:relu" if functional else "act", to="prelu", slope=0.1), net, optimizer, batch=X)
    slope = optimizer.param_groups[-1]["params"][-1]
    assert slope.item() == pytest.approx(0.1)
    target = F.leaky_relu(net.layer(X).detach(), 0.6)
    for _ in range(100):
        optimizer.zero_grad()
        F.mse_loss(net(X), target).backward()
        optimizer.step()
    assert slope.item() == pytest.approx(0.6, abs=1e-3)
    assert len(optimizer.param_groups) == 2


def test_function_is_put_behind_a_layer() -> None:
    net = nn.Sequential(nn.Linear(6, 1))
    apply(plan(Act.ACTIVATE, "0", to="sigmoid"), net)
    assert torch.equal(net(X), torch.sigmoid(F.linear(X, net[0].weight, net[0].bias)))


def test_sites_that_are_not_there_are_refused() -> None:
    with pytest.raises(TreatmentError, match=r"no activation is called at `layers\.7:sigmoid`"):
        apply(plan(Act.ACTIVATE, "layers.7:sigmoid", to="relu"), Functional(), batch=X)
    with pytest.raises(TreatmentError, match="has to see the model work"):
        apply(plan(Act.ACTIVATE, "layers.1:sigmoid", to="relu"), Functional())
    with pytest.raises(TreatmentError, match="expected an activation at"):
        apply(plan(Act.ACTIVATE, "layers", to="relu"), Functional(), batch=X)


@pytest.mark.parametrize(("kind", "norms"), [("layer", nn.LayerNorm(6)), ("batch", nn.BatchNorm1d(6))])
def test_hidden_layers_are_normalised_before_their_activation(kind: str, norms: nn.Module) -> None:
    model = Functional()
    apply(plan(Act.NORMALISE, "layers.0", "layers.1", "layers.2", kind=kind), model)
    out = model(X)
    expected = X
    for layer in model.layers:
        expected = torch.sigmoid(norms(F.linear(expected, layer.weight, layer.bias)))  # type: ignore[union-attr]
    gate = model.gate(expected).tanh()
    assert torch.allclose(out, model.head(expected * gate), atol=1e-6)


def test_norms_learn_and_the_head_has_none() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    count = len(optimizer.param_groups[0]["params"])
    applied = apply(plan(Act.NORMALISE, kind="batch"), model, optimizer)
    added = optimizer.param_groups[0]["params"][count:]
    assert [tuple(p.shape) for p in added] == [(4,), (4,), (8,), (8,)]
    F.cross_entropy(model(torch.randn(8, 3, 4, 4)), torch.zeros(8, dtype=torch.long)).backward()
    optimizer.step()
    assert not torch.equal(added[0], torch.ones(4))
    model.eval()
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-6)  # by running statistics, not those of the batch
    applied.revert()
    assert len(optimizer.param_groups[0]["params"]) == count


def test_shortcuts_go_round_layer_and_activation() -> None:
    model = Functional()
    apply(plan(Act.SKIP, "layers.0", "layers.2", scale=0.25), model, batch=X)
    first, second, third = model.layers
    x = X + 0.25 * torch.sigmoid(first(X))
    x = torch.sigmoid(second(x))
    x = x + 0.25 * torch.sigmoid(third(x))
    assert torch.equal(model(X), model.head(x * model.gate(x).tanh()))


def test_without_names_every_square_layer_but_the_last_gets_a_shortcut() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    apply(plan(Act.SKIP), net, batch=X)
    h = torch.relu(net[0](X))
    assert torch.equal(net(X), net[4](h + torch.tanh(net[2](h))))


def test_blocks_get_a_shortcut_as_they_are() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6)), nn.Linear(6, 2))
    applied = apply(plan(Act.SKIP, "0"), net)
    out = net(X)
    applied.revert()
    assert torch.equal(out, net[1](X + net[0](X)))


def test_layer_without_an_activation_cannot_end_a_block() -> None:
    with pytest.raises(TreatmentError, match="no activation is applied to the output of `0`"):
        apply(plan(Act.SKIP, "0"), nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.1), nn.ReLU(), nn.Linear(6, 2)), batch=X)


def test_input_is_scaled_in_training_and_evaluation() -> None:
    net = nn.Linear(6, 2)
    plain = net((X - 2.0) / 4.0)
    apply(plan(Act.SCALE, what="input", mean=2.0, std=4.0), net)
    assert torch.equal(net(X), plain)
    assert torch.equal(net.eval()(input=X), plain)


def test_input_is_scaled_by_column() -> None:
    x = torch.cat([1e4 * X[:, :1] + 5, X[:, 1:5], torch.full_like(X[:, :1], 3.0)], dim=1)
    seen: list[Tensor] = []
    net = nn.Linear(6, 2)
    apply(plan(Act.SCALE, what="input", per="column"), net, batch=x)
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net(x)
    assert torch.allclose(seen[0].mean(0), torch.zeros(6), atol=1e-5)
    assert torch.allclose(seen[0].std(0), torch.tensor([1.0, 1, 1, 1, 1, 0]), atol=1e-5)


def test_targets_cannot_be_scaled_from_here() -> None:
    with pytest.raises(TreatmentError, match="targets meet the loss"):
        apply(plan(Act.SCALE, what="target", mean=0.0, std=2.0), nn.Linear(2, 2))


def source_init(model: nn.Module, draw: Callable[[Tensor], object]) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            draw(module.weight)
            nn.init.zeros_(module.bias)


@pytest.mark.parametrize(
    ("settings", "draw"),
    [
        ({"method": "xavier"}, nn.init.xavier_uniform_),
        ({"method": "he"}, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ({"method": "he", "slope": 0.2}, lambda w: nn.init.kaiming_normal_(w, a=0.2, nonlinearity="leaky_relu")),
        ({"method": "lecun"}, lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
        ({"method": "orthogonal", "gain": 1.3}, lambda w: nn.init.orthogonal_(w, gain=1.3)),
    ],
)
def test_weights_are_those_that_the_patched_source_draws(
    settings: dict[str, str | float], draw: Callable[[Tensor], object]
) -> None:
    models = [Functional(), Functional()]
    torch.manual_seed(5)
    source_init(models[0], draw)
    torch.manual_seed(5)
    apply(plan(Act.INITIALISE, **settings), models[1])
    for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(first, second)


def test_single_settings_of_weights_and_biases() -> None:
    net = nn.ModuleDict({"branch": nn.Linear(4, 4), "rnn": nn.LSTM(4, 3)})
    layer, rnn = net["branch"], net["rnn"]
    assert isinstance(layer, nn.Linear)
    assert isinstance(rnn, nn.LSTM)
    kept = layer.weight.detach().clone()
    apply(plan(Act.INITIALISE, "branch", method="residual", gain=0.5), net)
    assert torch.equal(layer.weight, 0.5 * kept)
    apply(plan(Act.INITIALISE, "branch", method="bias", bias=0.25), net)
    assert torch.equal(layer.bias, torch.full((4,), 0.25))
    apply(plan(Act.INITIALISE, method="forget-bias", bias=3.0), net)
    assert torch.equal((rnn.bias_ih_l0 + rnn.bias_hh_l0)[3:6], torch.full((3,), 3.0))
    gru = nn.GRU(4, 3)
    apply(plan(Act.INITIALISE, method="forget-bias", bias=2.0), gru)
    assert torch.equal((gru.bias_ih_l0 + gru.bias_hh_l0)[3:6], torch.full((3,), 2.0))  # z, which keeps the state
    apply(plan(Act.INITIALISE, method="recurrent"), net)
    gate = rnn.weight_hh_l0[3:6]
    assert torch.allclose(gate @ gate.T, torch.eye(3), atol=1e-5)


def test_live_initialisation_repairs_a_deep_sigmoid_net() -> None:
    model = Functional(width=48, depth=12)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    applied = apply(plan(Act.INITIALISE, method="critical"), model, optimizer, batch=data(width=48)[0])
    assert steps(model, optimizer, 150, width=48)[-1] < 0.1
    applied.revert()
    assert steps(model, optimizer, 150, width=48)[-1] > 0.5
