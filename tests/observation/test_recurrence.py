"""Gradient through time, fused and unfused, against retained gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.observation.nets import watched_steps


class LastStep(nn.Module):
    """A recurrent layer read at its last step."""

    def __init__(self, kind: type[nn.RNNBase], layers: int = 1) -> None:
        super().__init__()
        self.rnn = kind(4, 8, num_layers=layers, batch_first=True)
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def _lstm_by_hand(model: LastStep, x: Tensor) -> list[float]:
    """The slow twin: a loop over LSTMCell with retained hidden states."""
    cell = nn.LSTMCell(4, 8)
    rnn = model.rnn
    cell.weight_ih, cell.weight_hh = rnn.weight_ih_l0, rnn.weight_hh_l0
    cell.bias_ih, cell.bias_hh = rnn.bias_ih_l0, rnn.bias_hh_l0
    h, c = x.new_zeros(x.shape[0], 8), x.new_zeros(x.shape[0], 8)
    kept: list[Tensor] = []
    for t in range(x.shape[1]):
        h, c = cell(x[:, t], (h, c))
        h.retain_grad()
        kept.append(h)
    model.head(h).square().mean().backward()
    norms = [float(state.grad.norm()) for state in kept if state.grad is not None]
    model.zero_grad()
    return norms


def test_fused_lstm_s_profile_equals_a_loop_of_cells() -> None:
    torch.manual_seed(0)
    model, x = LastStep(nn.LSTM), torch.randn(3, 15, 4)
    expected = _lstm_by_hand(model, x)
    trace = watched_steps(model, lambda: x, steps=1)
    (profile,) = trace.time_profiles
    assert profile.module == "rnn"
    assert list(profile.norms) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_recurrent_module_has_a_profile_that_falls_towards_the_past(kind: type[nn.RNNBase], layers: int) -> None:
    torch.manual_seed(1)
    trace = watched_steps(LastStep(kind, layers), lambda: torch.randn(3, 15, 4), steps=1)
    assert trace.time_profiles
    for profile in trace.time_profiles:
        assert len(profile.norms) == 15
        # torch's default initialisation forgets: -0.2 to -0.27 decades a step (theory page).
        assert profile.norms[0] < 0.05 * max(profile.norms)


def test_measuring_a_fused_layer_touches_no_gradient_and_no_dropout() -> None:
    torch.manual_seed(2)
    model = LastStep(nn.LSTM, 2)
    model.rnn.dropout = 0.5
    x = torch.randn(3, 9, 4)
    state = torch.get_rng_state()
    model(x).square().mean().backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    torch.set_rng_state(state)
    watched: dict[str, Tensor] = {}

    def remember(output: Tensor) -> Tensor:
        return output.square().mean()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    import evengrad

    with evengrad.watch(model, optimizer):
        remember(model(x)).backward()
        watched = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
    assert watched.keys() == plain.keys()
    assert all(torch.equal(watched[name], plain[name]) for name in plain)
    assert model.rnn.dropout == 0.5


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_head_on_the_final_state_is_watched_like_any_other(
    kind: type[nn.RNNBase], bidirectional: bool, layers: int
) -> None:
    torch.manual_seed(3)

    class FinalState(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(4, 8, num_layers=layers, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            _, state = self.rnn(x)
            return self.head((state[0] if isinstance(state, tuple) else state)[-1])

    trace = watched_steps(FinalState(), lambda: torch.randn(3, 12, 4))
    assert trace.ledgers
    if kind is nn.LSTM and not bidirectional:
        assert trace.time_profiles[0].norms[0] < 0.05 * max(trace.time_profiles[0].norms)


def test_the_final_state_s_gradient_gives_the_same_profile_as_the_last_output_s() -> None:
    torch.manual_seed(4)
    model, x = LastStep(nn.LSTM), torch.randn(3, 15, 4)
    by_output = watched_steps(model, lambda: x, steps=1, optimizer=lambda p, lr: torch.optim.SGD(p, lr=0.0))
    model.forward = lambda x: model.head(model.rnn(x)[1][0][-1])  # type: ignore[method-assign]
    by_state = watched_steps(model, lambda: x, steps=1, optimizer=lambda p, lr: torch.optim.SGD(p, lr=0.0))
    assert by_state.time_profiles[0].norms == pytest.approx(by_output.time_profiles[0].norms, rel=1e-4)
