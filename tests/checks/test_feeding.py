"""Whatever form batch, model and loss have, one pass comes of it, or a sentence that says what was expected."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evengrad.checks.feeding import Feed, pass_forward
from evengrad.checks.losses import NAMED
from evengrad.checks.subject import build, first_of
from evengrad.checks.synthetic import Plan, fitting, parse_shape, plan_of
from evengrad.errors import UsageError


def passed(model, batch=None, loss=None, target=None, plan=None):
    torch.manual_seed(0)
    return pass_forward(model, Feed(plan=plan, batch=batch, loss=loss, target=target))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, a, b):
        return self.layer(a) - self.layer(b)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, pixels, labels=None):
        logits = self.layer(pixels)
        return SimpleNamespace(logits=logits, loss=None if labels is None else F.cross_entropy(logits, labels))


X, Y = torch.ones(5, 4), torch.tensor([0, 1, 2, 1, 0])


@pytest.mark.parametrize(
    ("model", "batch", "loss", "words"),
    [
        (nn.Linear(4, 3), X, None, "cross_entropy"),
        (nn.Linear(4, 3), (X, Y), None, "cross_entropy"),
        (nn.Linear(4, 3), [X, Y], F.cross_entropy, "cross_entropy"),
        (nn.Linear(4, 1), X, None, "mse"),
        (nn.Linear(4, 1), (X, (Y > 0)), None, "bce_logits"),
        (nn.Linear(4, 3), (X, torch.ones(5, 3)), None, "mse"),
        (nn.Linear(4, 3), X, lambda output: output.mean(), None),
        (nn.Linear(4, 3), X, lambda model, batch: model(batch).mean(), None),
        (nn.Linear(4, 3), X, nn.CrossEntropyLoss(), "CrossEntropyLoss"),
        (nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(1)), X, None, "nll"),
        (nn.Sequential(nn.Linear(4, 2), nn.Sigmoid()), X, None, "bce"),
        (nn.Linear(4, 4), X, None, "mse"),
        (nn.Conv2d(1, 5, 3), torch.ones(2, 1, 8, 8), None, "cross_entropy"),
        (nn.Embedding(7, 7), torch.zeros(2, 5, dtype=torch.long), None, "cross_entropy"),
        (nn.LSTM(4, 6), torch.ones(5, 2, 4), None, "mse"),
        (Two(), (X, X), None, "cross_entropy"),
        (Two(), ((X, X), Y), None, "cross_entropy"),
        (Two(), (X, X, Y), F.cross_entropy, "cross_entropy"),
        (Named(), {"pixels": X, "labels": Y}, None, "the model's own loss"),
        (Named(), {"pixels": X, "labels": Y}, lambda result, target: F.cross_entropy(result.logits, target), None),
        (Named(), {"pixels": X}, None, "cross_entropy"),
    ],
)
def test_a_pass_comes_of_every_common_form(model, batch, loss, words):
    result = passed(model, batch, loss)
    assert result.loss.shape == ()
    assert torch.isfinite(result.loss)
    assert words is None or result.loss_words == words


def test_the_loss_is_the_users_own():
    model = nn.Linear(4, 3)
    assert torch.equal(passed(model, (X, Y), F.cross_entropy).loss, F.cross_entropy(model(X), Y))


def test_a_target_may_be_described():
    assert passed(nn.Linear(4, 10), X, target="classes:10").target_words == "classes:10"
    assert passed(nn.Linear(4, 10), X, target="5,10").loss_words == "mse"
    with pytest.raises(UsageError, match=r"classes:7, but the output has shape"):
        passed(nn.Linear(4, 10), X, target="classes:7")
    with pytest.raises(UsageError, match=r"expected classes:10, a shape"):
        passed(nn.Linear(4, 10), X, target="ten")


@pytest.mark.parametrize(
    ("model", "batch", "loss", "match"),
    [
        (nn.Linear(4, 3), torch.ones(5, 7), None, "forward failed on float32 .5, 7.: RuntimeError.*give an input"),
        (nn.Linear(4, 3), X, lambda output: output, "expected a scalar loss, got shape"),
        (nn.Linear(4, 3), X, lambda output: 1.0, "expected the loss to be a tensor, got a float"),
        (nn.Linear(4, 3), (X, Y), lambda output, target: output @ target, "the loss failed as loss_fn.output, target"),
        (nn.Linear(4, 3), (X, Y[:2]), None, "cross_entropy does not fit an output of shape"),
    ],
)
def test_what_does_not_fit_is_said(model, batch, loss, match):
    with pytest.raises(UsageError, match=match):
        passed(model, batch, loss)


def test_named_losses_agree_with_torch():
    output, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    assert torch.equal(NAMED["cross_entropy"](output, target), F.cross_entropy(output, target))
    sequence, words = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    assert torch.allclose(
        NAMED["cross_entropy"](sequence, words), F.cross_entropy(sequence.transpose(1, 2), words), atol=1e-6
    )


@pytest.mark.parametrize(
    ("model", "plan"),
    [
        (nn.Linear(9, 2), Plan((32, 9))),
        (nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 24 * 24, 2)), Plan((32, 3, 28, 28))),
        (nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11)), Plan((8, 32), 11)),
        (nn.GRU(5, 6, batch_first=True), Plan((32, 32, 5))),
        (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), Plan((8, 32, 16))),
        (nn.Sequential(nn.ConvTranspose2d(7, 4, 4), nn.Tanh()), Plan((32, 7, 1, 1))),
        (nn.Conv1d(2, 4, 3), Plan((32, 2, 128))),
    ],
)
def test_a_made_up_input_fits_the_first_layer(model, plan):
    assert fitting(model) == plan


def test_shapes_are_read_and_tokens_recognised():
    assert parse_shape("32,3,28,28") == parse_shape("32x3x28x28") == parse_shape("[32, 3, 28, 28]") == (32, 3, 28, 28)
    assert parse_shape("data:batches") is None
    assert plan_of(nn.Embedding(11, 4), (2, 3)).tokens == 11
    with pytest.raises(UsageError, match=r"expected sizes of at least 1"):
        plan_of(nn.Linear(4, 2), (0, 4))
    with pytest.raises(UsageError, match=r"takes 2 inputs .a, b.: give a batch"):
        fitting(Two())


def test_a_build_function_may_return_what_it_has():
    model = nn.Linear(4, 3)
    for made in (model, (model,), (model, (X, Y)), (model, (X, Y), F.cross_entropy), {"model": model, "batch": X}):
        assert build(lambda made=made: made).model is model
    assert build(lambda: (model, iter([(X, Y)]))).batch[0] is X
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert build(lambda: (model, X, optimizer)).optimizer is optimizer


def needs(width):
    return nn.Linear(width, 1)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (needs, "needs arguments .width.: expected a function without"),
        (lambda: 3, "returned a int: expected a torch.nn.Module"),
        (lambda: 1 / 0, "failed: ZeroDivisionError"),
        (lambda: {"net": 1}, "expected the keys model, batch"),
        (lambda: (nn.Linear(1, 1), 7), "returned a int beside the model"),
    ],
)
def test_a_build_function_that_does_not_is_explained(function, match):
    with pytest.raises(UsageError, match=match):
        build(function)


def test_lazy_models_are_refused_with_the_way_out():
    import evengrad

    with pytest.raises(UsageError, match=r"is lazy and has no shape yet: run one batch"):
        evengrad.check(nn.LazyLinear(3), torch.ones(2, 2))


def test_the_first_batch_of_whatever_holds_batches():
    loader = torch.utils.data.DataLoader([(torch.ones(2), 1)] * 4, batch_size=2)
    assert first_of(loader, "--input")[0].shape == (2, 2)
    assert first_of(lambda: iter([X]), "--input") is X
    with pytest.raises(UsageError, match=r"'--input' is a int: expected a batch"):
        first_of(3, "--input")


class Told(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7)

    def forward(self, tokens, targets=None):
        logits = self.head(self.table(tokens))
        if targets is None:
            return logits[:, [-1]], None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def test_a_model_that_takes_its_targets_is_given_them_and_its_own_loss_is_used() -> None:
    x, y = torch.randint(7, (2, 5)), torch.randint(7, (2, 5))
    model = Told()
    expected = model(x, y)[1]
    for batch in ((x, y), {"tokens": x, "targets": y}):
        made = passed(model, batch)
        assert made.loss.item() == expected.item()
        assert made.output is not None
        assert made.output.shape == (2, 5, 7)
