"""The check as a whole: its verdicts, and that it leaves no trace."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

import evengrad
from evengrad.core.finding import Severity, Verdict
from evengrad.errors import UsageError
from tests.checks.architectures import ARCHITECTURES, HE, XAVIER, Architecture, Gpt, Transformer, chain, resnet
from tests.checks.tasks import TASKS

BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}


def rules(result: evengrad.CheckResult) -> set[str]:
    found = [finding for finding in result.findings if finding.severity is not Severity.INFO]
    return {finding.rule for root in found for finding in (root, *root.consequences)}


def checked(architecture: Architecture, seeds: int = 2) -> evengrad.CheckResult:
    task = TASKS[architecture.task]
    optimizer = f"{architecture.optimizer}:{architecture.rates[-1]}"
    return evengrad.check(architecture.build, next(task.batches(0)), task.loss, optimizer=optimizer, seeds=seeds)


@pytest.mark.parametrize(
    "name",
    ["MLP 3 ReLU, default", "MLP 20 ReLU, He", "MLP 10 tanh, default", "MLP 6 ReLU, He, zero head", "MLP 24 LayerNorm",
     "MLP 12 BatchNorm", "ResNet 8 BatchNorm", "residual MLP 30, pre-LN", "pre-LN transformer 4", "GPT 6",
     "LSTM, 8 steps", "GRU, 8 steps", "U-Net", "autoencoder 6 ReLU", "siamese", "MLP-mixer 6", "mixture of experts",
     "LoRA on a frozen backbone", "highway 30"],
)  # fmt: skip
def test_a_net_that_trains_is_healthy(name):
    result = checked(BY_NAME[name], seeds=1)
    assert result.verdict is Verdict.HEALTHY, str(result)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("MLP 20 ReLU, default", "vanishing-gradient"),
        ("MLP 10 sigmoid, Xavier", "vanishing-gradient"),
        ("MLP 20 GELU, default, Adam", "vanishing-gradient"),
        ("MLP 40 tanh, gain 3", "exploding-gradient"),
        ("MLP 50 BatchNorm", "exploding-gradient"),
        ("residual MLP 60, no norm", "exploding-gradient"),
        ("MLP 8 ReLU, dead biases", "dead-units"),
        ("MLP 4 ReLU, constant", "bad-initialisation"),
        ("MLP 4 ReLU, all zero", "bad-initialisation"),
        ("LoRA, both factors zero", "bad-initialisation"),
    ],
)
def test_a_net_that_cannot_train_is_sick_of_the_right_thing(name, rule):
    assert rule in rules(checked(BY_NAME[name], seeds=1))


@pytest.mark.parametrize("name", ["residual MLP 30, zero branches", "ReZero 60"])
def test_zero_branches_and_gates_are_looked_behind(name):
    result = checked(BY_NAME[name], seeds=1)
    assert result.healthy, str(result)
    assert "filled" in {note.key for note in result.notes}


@pytest.mark.parametrize(("reduction", "comparable"), [("mean", True), ("sum", False)])
@pytest.mark.parametrize("loss", [nn.functional.cross_entropy, nn.functional.binary_cross_entropy_with_logits])
def test_a_summed_loss_is_not_held_against_a_guess(loss, reduction, comparable):
    target = torch.arange(64) % 10 if loss is nn.functional.cross_entropy else torch.ones(64, 10)
    result = evengrad.check(
        chain(3, nn.ReLU, HE), (torch.randn(64, 64), target), lambda x, y: loss(x, y, reduction=reduction), seeds=1
    )
    assert result.healthy, str(result)
    assert math.isfinite(result.outset.guess) is comparable


def test_what_step_0_cannot_see_is_said():
    post = evengrad.check(lambda: Transformer(4, norm_first=False), torch.randn(8, 8, 8), seeds=1)
    assert {"post-norm", "no-optimizer", "blind"} <= {note.key for note in post.notes}
    memory = checked(BY_NAME["LSTM, recall over 60 steps"], seeds=1)
    assert [finding.message_key for finding in memory.findings] == ["check.time-vanishes"]
    assert memory.findings[0].severity is Severity.INFO


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, object]:
    """Return all that a check might disturb."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "values": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "storage": {name: tensor.data_ptr() for name, tensor in tensors.items()},
        "versions": {name: p._version for name, p in model.named_parameters()},
        "gradients": {name: p.grad for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "global hooks": len(nn.modules.module._global_forward_hooks),
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "optimizer": len(optimizer.state),
        "grad mode": torch.is_grad_enabled(),
        "patched": (torch.autograd.backward, nn.Module.__init__, torch.optim.Optimizer.__init__),
    }


def assert_same(before: object, after: object) -> None:
    assert type(before) is type(after)
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            assert_same(before[key], after[key])
    elif isinstance(before, torch.Tensor):
        assert torch.equal(before, after)
    else:
        assert before == after


class Counting(nn.Module):
    """Keeps what its forward pass sees, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.seen = 0, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(x)
        self.last = x
        return x * (1 + 0.01 * random.random())


def test_a_live_model_is_left_exactly_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(
        resnet(1, batch_norm=True)(), nn.Linear(10, 10), Counting(), nn.Dropout(0.2), nn.Linear(10, 4)
    )
    nn.init.zeros_(model[-1].weight)
    model[0][2].eval()
    optimizer = torch.optim.Adam(model.parameters())
    stepped: list[int] = []
    for parameter in model[1].parameters():
        parameter.register_post_accumulate_grad_hook(lambda _: stepped.append(1))
    model[1].weight.grad = torch.ones_like(model[1].weight)
    before = everything(model, optimizer)
    batch = (torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 4)
    with torch.no_grad():
        before["grad mode"] = torch.is_grad_enabled()
        result = evengrad.check(model, batch, nn.functional.cross_entropy, optimizer=optimizer, seeds=2)
        assert_same(before, everything(model, optimizer))
    assert "filled" in {note.key for note in result.notes}
    assert stepped == []
    assert model[2].calls == 0
    assert model[2].seen == []


def test_a_model_that_fails_is_left_as_it_was_too():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), Counting(), nn.Linear(5, 2)).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = everything(model, optimizer)
    with pytest.raises(UsageError, match="forward failed on float32"):
        evengrad.check(model, torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    assert_same(before, everything(model, optimizer))


def test_a_build_function_leaves_the_random_states_alone():
    before = torch.get_rng_state()
    evengrad.check(chain(3, nn.ReLU, None))
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_show_how_far_draws_differ():
    several = evengrad.check(chain(30, nn.ReLU, HE, width=16), seeds=5)
    assert several.setup.redrawn
    assert several.attenuation.width > 0.3
    fixed = evengrad.check(chain(5, nn.ReLU, HE)(), torch.ones(8, 64))
    assert not fixed.setup.redrawn
    assert "one-draw" in {note.key for note in fixed.notes}


def test_adam_trains_where_sgd_cannot():
    build = chain(12, nn.ReLU, None)
    assert evengrad.check(build, optimizer="sgd:0.1", seeds=1).verdict is Verdict.SICK
    assert evengrad.check(build, optimizer="adam:1e-3", seeds=1).verdict is Verdict.HEALTHY


@pytest.mark.parametrize(
    ("optimizer", "severity"), [("sgd:0.1", Severity.WARNING), (None, Severity.INFO), ("adam:1e-3", None)]
)
def test_a_gradient_that_fades_matters_to_who_takes_it_as_it_is(optimizer, severity):
    result = evengrad.check(chain(10, nn.ReLU, None), optimizer=optimizer, seeds=1)
    assert -4 < result.attenuation.median < -3
    assert [finding.severity for finding in result.findings] == ([] if severity is None else [severity])


def test_growth_between_the_bounds_is_a_warning():
    def build():
        return chain(20, nn.ReLU, lambda weight: nn.init.normal_(weight, std=1.35 * math.sqrt(2 / weight.shape[1])))()

    found = {f.rule: f.severity for f in evengrad.check(build, optimizer="adam:1e-3", seeds=1).findings}
    assert found["exploding-gradient"] is Severity.WARNING


def test_the_proposal_repairs_the_net_it_is_made_for():
    sick = evengrad.check(chain(20, nn.ReLU, None), seeds=1)
    (proposal,) = sick.proposals
    assert proposal.method == "he"
    healed = evengrad.check(chain(20, nn.ReLU, HE), seeds=3)
    assert healed.healthy
    assert proposal.expected.low < healed.attenuation.median < proposal.expected.high


def test_a_sigmoid_is_proposed_weights_that_cancel_its_mean_or_another_activation():
    methods = [proposal.method for proposal in evengrad.check(chain(20, nn.Sigmoid, XAVIER), seeds=1).proposals]
    assert methods == ["centred", "tanh+critical", "relu+he"]


def test_data_of_size_a_hundred_is_found():
    batch = (100 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10)
    assert "input-scale" in rules(evengrad.check(chain(4, nn.ReLU, HE), batch, seeds=1))
    normalised = lambda: nn.Sequential(nn.BatchNorm1d(64), chain(4, nn.ReLU, HE)())  # noqa: E731
    assert evengrad.check(normalised, batch, seeds=1).healthy


def test_a_first_loss_of_many_guesses_is_found():
    large = lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))  # noqa: E731

    def build():
        model = large()
        nn.init.normal_(model[2].weight, std=20.0)
        return model

    assert "bad-initialisation" in rules(evengrad.check(build, seeds=1))
    assert evengrad.check(large, seeds=1).outset.guess == pytest.approx(math.log(10))


def test_a_loss_that_is_nan_is_found():
    class Rooted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x):
            return torch.log(self.layer(x) - 100)

    assert "non-finite" in rules(evengrad.check(Rooted, torch.randn(4, 8), "mse", seeds=1))


def test_a_detached_encoder_and_an_unused_head_are_told_apart():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head, self.spare = nn.Linear(8, 32), nn.Linear(32, 4), nn.Linear(32, 4)

        def forward(self, x):
            return self.head(torch.relu(self.encoder(x)).detach())

    (first, *others) = evengrad.check(Detached, seeds=1).findings
    assert (first.rule, first.message_key, others) == ("no-gradient", "check.cut", [])
    unused = evengrad.check(lambda: nn.ModuleDict({"a": nn.Linear(8, 4), "b": nn.Linear(8, 4)}), torch.randn(4, 8),
                            lambda model, batch: model["a"](batch).square().mean(), seeds=1)  # fmt: skip
    assert [(f.message_key, f.severity) for f in unused.findings] == [("check.unused", Severity.INFO)]


def test_a_loss_without_a_graph_is_found():
    result = evengrad.check(nn.Linear(4, 2), torch.randn(3, 4), lambda output: output.detach().mean())
    assert [finding.message_key for finding in result.findings] == ["check.nothing"]


def test_parameters_that_no_optimizer_holds_are_found():
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    (finding,) = evengrad.check(model, optimizer=optimizer).findings
    assert (finding.message_key, finding.parameters) == ("check.not-held", ("0.weight", "0.bias"))


def test_a_softmax_over_one_score_is_a_constant_output():
    build = lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1), nn.Softmax(dim=1))  # noqa: E731
    assert "constant-output" in rules(evengrad.check(build, torch.randn(16, 8), "mse", seeds=1))


def test_a_first_step_that_tears_the_weights_is_found():
    build = chain(3, nn.ReLU, None)
    assert "update-too-large" in rules(evengrad.check(build, optimizer="adam:1", seeds=1))
    assert evengrad.check(build, optimizer="adam:1e-3", seeds=1).healthy


def test_bfloat16_weights_lose_small_steps():
    build = lambda: chain(3, nn.ReLU, None)().bfloat16()  # noqa: E731
    assert "precision-loss" in rules(evengrad.check(build, optimizer="adam:1e-5", seeds=1))
    assert evengrad.check(build, optimizer="adam:1e-2", seeds=1).healthy


def test_scores_of_attention_that_are_too_large_are_found():
    def build():
        model = Gpt(2)
        for block in model.h:
            block.c_attn.weight.data.mul_(100)
        return model

    assert "saturated-activation" in rules(evengrad.check(build, seeds=1))


def test_a_recurrence_that_explodes_is_found():
    class Relu(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(4, 32, batch_first=True, nonlinearity="relu"), nn.Linear(32, 4)
            nn.init.eye_(self.rnn.weight_hh_l0)
            self.rnn.weight_hh_l0.data.mul_(2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    assert "exploding-gradient" in rules(evengrad.check(Relu, torch.randn(8, 24, 4), seeds=1))


def test_a_loop_over_time_is_no_depth():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 16), nn.Linear(16, 3)

        def forward(self, x):
            state = torch.zeros(len(x), 16)
            for step in range(x.shape[1]):
                state = self.cell(x[:, step], state)
            return self.head(state)

    result = evengrad.check(Loop, torch.randn(8, 30, 4), seeds=1)
    assert math.isnan(result.attenuation.median)
    assert [(f.message_key, f.severity) for f in result.findings] == [("check.time-vanishes", Severity.INFO)]


def test_seeds_below_one_are_refused():
    with pytest.raises(UsageError, match="at least one seed, got 0"):
        evengrad.check(nn.Linear(2, 2), seeds=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_architecture_gets_the_verdict_that_training_gave(name):
    """Against the recorded outcome of training: ``benchmarks/results/check_agreement_rows.jsonl``."""
    from benchmarks.check_agreement import examine

    assert examine(BY_NAME[name], seed=0, steps=300).outcome not in ("false alarm", "missed")
