"""Small training loops as functions, for tests that watch from inside the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Result:
    """What two runs of one loop must share to the bit."""

    losses: list[float]
    weights: list[Tensor]
    random_state: Tensor


def assert_identical(first: Result, second: Result) -> None:
    """Assert that two runs gave the same bits; NaN is the same as NaN."""
    assert [loss.hex() for loss in first.losses] == [loss.hex() for loss in second.losses]
    for one, other in zip(first.weights, second.weights, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))
    assert torch.equal(first.random_state, second.random_state)


Step = Callable[[], Tensor]
Run = Callable[[], Result]
Build = Callable[[], tuple[list[nn.Module], list[torch.optim.Optimizer], Step]]


def run(build: Build, steps: int = 40) -> Result:
    """Build a loop from seed 0 and run it."""
    torch.manual_seed(0)
    modules, _, step = build()
    return repeat(modules, step, steps)


def repeat(modules: list[nn.Module], step: Step, steps: int) -> Result:
    """Take a number of steps."""
    losses = [float(step().detach()) for _ in range(steps)]
    weights = [value.detach().clone() for module in modules for value in module.state_dict().values()]
    return Result(losses, weights, torch.get_rng_state())


def mlp() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """In-place activation, dropout, momentum, clipping."""
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x = torch.randn(64, 8)
    y = x[:, :1].sin()

    def step() -> Tensor:
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return loss

    return [net], [optimizer], step


def convolution() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """Batch norm, functional and residual operations, AdamW with two groups and a scheduler."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.second, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.norm(self.first(x)))
            x = x + torch.tanh(self.second(x))
            out: Tensor = self.head(F.max_pool2d(x, 2).mean((2, 3)))
            return out

    net = Net()
    groups = [
        {"params": net.head.parameters(), "lr": 1e-2},
        {"params": [*net.first.parameters(), *net.second.parameters()]},
    ]
    optimizer = torch.optim.AdamW(groups, lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    x = torch.randn(32, 1, 8, 8)
    y = torch.randint(0, 3, (32,))

    def step() -> Tensor:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    return [net], [optimizer], step


def recurrent() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """A fused LSTM with dropout between its layers."""
    lstm, head = nn.LSTM(4, 16, num_layers=2, dropout=0.1), nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=5e-3)
    x = torch.randn(12, 16, 4)
    y = x.mean((0, 2)).unsqueeze(1)

    def step() -> Tensor:
        loss = F.mse_loss(head(lstm(x)[0][-1]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [lstm, head], [optimizer], step


def attention() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """A pre-norm block with scaled dot-product attention and a tied output."""
    embedding = nn.Embedding(20, 16)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True, norm_first=True)
    optimizer = torch.optim.AdamW([*embedding.parameters(), *layer.parameters()], lr=3e-3)
    tokens = torch.randint(0, 20, (16, 9))

    def step() -> Tensor:
        logits = layer(embedding(tokens[:, :-1])) @ embedding.weight.T
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [embedding, layer], [optimizer], step


def adversarial() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """Two models, two optimizers, double backward."""
    maker, critic = (
        nn.Sequential(nn.Linear(4, 16), nn.ELU(), nn.Linear(16, 2)),
        nn.Sequential(nn.Linear(2, 16), nn.Tanh()),
    )
    critic.append(nn.Linear(16, 1))
    first, second = torch.optim.Adam(maker.parameters(), lr=1e-3), torch.optim.RMSprop(critic.parameters(), lr=1e-3)

    def step() -> Tensor:
        real, fake = torch.randn(32, 2), maker(torch.randn(32, 4))
        mixed = (real + fake.detach()).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        loss = critic(fake.detach()).mean() - critic(real).mean() + (slope.norm(dim=1) - 1).pow(2).mean()
        second.zero_grad()
        loss.backward()
        second.step()
        first.zero_grad()
        (-critic(fake).mean()).backward()
        first.step()
        return loss

    return [maker, critic], [first, second], step


def line_search() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """LBFGS: the closure runs several times in one step."""
    net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    x = torch.randn(48, 3)
    y = x.prod(1, keepdim=True)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        return loss

    def step() -> Tensor:
        loss: Tensor = optimizer.step(closure)  # type: ignore[assignment]
        return loss

    return [net], [optimizer], step


def scaled() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """float16 autocast and a GradScaler whose first scale overflows."""
    net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=10)
    x = torch.randn(64, 8)
    y = x[:, :1]

    def step() -> Tensor:
        with torch.autocast("cpu", dtype=torch.float16):
            output = net(x)
        loss = F.mse_loss(output.float(), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return [net], [optimizer], step


def exploding() -> tuple[list[nn.Module], list[torch.optim.Optimizer], Step]:
    """A loss that becomes Inf, then NaN; the loop does not care."""
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=50.0)
    x = torch.randn(32, 4)

    def step() -> Tensor:
        loss = net(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [net], [optimizer], step


LOOPS: dict[str, Build] = {
    build.__name__: build
    for build in (mlp, convolution, recurrent, attention, adversarial, line_search, scaled, exploding)
}
