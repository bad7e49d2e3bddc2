"""Networks of the common kinds, sound and unsound, each with what it is trained on and by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """A network with its task and optimizer; ``rates`` are learning rates a user might try."""

    name: str
    build: Callable[[], nn.Module]
    task: str = "digits"
    optimizer: str = "sgd"
    rates: tuple[float, ...] = (0.05, 0.01)


def chain(depth: int, act: Callable[[], nn.Module], init: Callable[[Tensor], object] | None, width: int = 64):
    def build() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(depth - 1):
            layers += [nn.Linear(64, width) if not layers else nn.Linear(width, width), act()]
        return filled(nn.Sequential(*layers, nn.Linear(width, 10)), init)

    return build


def filled(model: nn.Module, init: Callable[[Tensor], object] | None) -> nn.Module:
    for module in model.modules() if init is not None else ():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            init(module.weight)
            nn.init.zeros_(module.bias)
    return model


def gaussian(gain: float) -> Callable[[Tensor], object]:
    return lambda weight: nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))


HE, XAVIER = gaussian(math.sqrt(2)), gaussian(1.0)


def convolutions(depth: int, init: Callable[[Tensor], object] | None):
    def build() -> nn.Module:
        layers: list[nn.Module] = []
        for index in range(depth):
            layers += [nn.Conv2d(16 if index else 1, 16, 3, padding=1), nn.ReLU()]
        return filled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 64, 10)), init)

    return build


class Block(nn.Module):
    def __init__(self, branch: nn.Module, scale: nn.Parameter | float = 1.0) -> None:
        super().__init__()
        self.branch, self.scale = branch, scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


def residual(blocks: int, *, norm: bool, zero: bool = False, rezero: bool = False):
    def build() -> nn.Module:
        made: list[nn.Module] = [nn.Linear(64, 64)]
        for _ in range(blocks):
            inner = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)]
            branch = filled(nn.Sequential(*([nn.LayerNorm(64)] if norm else []), *inner), HE)
            if zero:
                nn.init.zeros_(branch[-1].weight)
            made.append(Block(branch, nn.Parameter(torch.zeros(())) if rezero else 1.0))
        return nn.Sequential(*made, *([nn.LayerNorm(64)] if norm else []), nn.Linear(64, 10))

    return build


def resnet(blocks: int, *, batch_norm: bool):
    def build() -> nn.Module:
        def convolution() -> list[nn.Module]:
            return [nn.Conv2d(16, 16, 3, padding=1), *([nn.BatchNorm2d(16)] if batch_norm else [])]

        body = [Block(nn.Sequential(*convolution(), nn.ReLU(), *convolution())) for _ in range(blocks)]
        tail = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)]
        return filled(nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), *body, *tail), HE)

    return build


def normalised(depth: int, norm: Callable[[int], nn.Module]):
    def build() -> nn.Module:
        layers = [part for _ in range(depth) for part in (nn.Linear(64, 64), norm(64), nn.ReLU())]
        return filled(nn.Sequential(*layers, nn.Linear(64, 10)), HE)

    return build


class Transformer(nn.Module):
    def __init__(self, layers: int, *, norm_first: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(torch.randn(8, 32))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 64, dropout, batch_first=True, norm_first=norm_first)
            for _ in range(layers)
        )
        self.norm, self.head = nn.LayerNorm(32) if norm_first else nn.Identity(), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class CausalBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        parts = (
            part.view(batch, time, 4, width // 4).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.c_proj(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """GPT-2: weights of std 0.02, tied head."""

    def __init__(self, layers: int, width: int = 32, vocabulary: int = 16) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(64, width)
        self.h = nn.Sequential(*[CausalBlock(width) for _ in range(layers)])
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return self.lm_head(self.ln_f(self.h(x)))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], inputs: int, classes: int = 10, *, forget: float | None = None) -> None:
        super().__init__()
        self.rnn, self.head = kind(inputs, 48, batch_first=True), nn.Linear(48, classes)
        if forget is not None:
            nn.init.constant_(self.rnn.bias_hh_l0[48:96], forget)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU())
        self.middle = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.out = nn.Sequential(nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down(x)
        return self.out(torch.cat([fine, self.up(self.middle(fine))], 1))


class Highway(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.work, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.tanh(self.work(x)) + (1 - gate) * x


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.head((self.encoder(one) - self.encoder(other)).abs()).squeeze(-1)


class Mixer(nn.Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 32), nn.Linear(32, 10)
        self.tokens = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)) for _ in range(blocks))
        self.channels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for norm, tokens, channels in zip(self.norms, self.tokens, self.channels, strict=True):
            x = x + tokens(norm(x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(x)
        return self.head(x.mean(1))


class Experts(nn.Module):
    """The two best of eight experts answer for each sample; some may not be asked at all."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.head = nn.Linear(64, 8), nn.Linear(64, 10)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(8))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.router(x).softmax(-1).topk(2)
        mixed = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows, slot = (chosen == index).nonzero(as_tuple=True)
            if len(rows):
                mixed = mixed.index_add(0, rows, weights[rows, slot, None] * expert(x[rows]))
        return self.head(x + mixed)


class Adapted(nn.Module):
    """A frozen backbone with a low-rank adapter whose second factor begins at zero (or both, which is a fault)."""

    def __init__(self, *, both_zero: bool = False) -> None:
        super().__init__()
        self.backbone = nn.Linear(64, 64).requires_grad_(False)
        self.a, self.b = nn.Linear(64, 8, bias=False), nn.Linear(8, 64, bias=False)
        self.head = nn.Linear(64, 10).requires_grad_(not both_zero)
        nn.init.zeros_(self.b.weight)
        if both_zero:
            nn.init.zeros_(self.a.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.backbone(x) + self.b(self.a(x))))


def autoencoder(act: Callable[[], nn.Module], depth: int):
    def build() -> nn.Module:
        widths = [64] + [32] * (depth - 1) + [64]
        layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), act())]
        return nn.Sequential(*layers[:-1])

    return build


def changed(build: Callable[[], nn.Module], change: Callable[[nn.Module], object]):
    def changed_build() -> nn.Module:
        model = build()
        with torch.no_grad():
            change(model)
        return model

    return changed_build


def _all(value: float):
    def fill(model: nn.Module) -> None:
        for parameter in model.parameters():
            parameter.fill_(value)

    return fill


def _dead(model: nn.Module) -> None:
    for module in list(model.modules())[1:-1]:
        if isinstance(module, nn.Linear):
            module.bias.fill_(-6.0)


def _zero_head(model: nn.Module) -> None:
    model[-1].weight.zero_()


ADAM = ("adam", (3e-3, 3e-4))
SLOW = ("adam", (1e-3,))


def _of(
    name: str, build: Callable[[], nn.Module], task: str = "digits", how: tuple[str, tuple[float, ...]] | None = None
):
    optimizer, rates = how or ("momentum", (0.02, 0.004))
    return Architecture(name, build, task, optimizer, rates)


ARCHITECTURES: tuple[Architecture, ...] = (
    _of("MLP 3 ReLU, default", chain(3, nn.ReLU, None)),
    _of("MLP 12 ReLU, default", chain(12, nn.ReLU, None)),
    _of("MLP 20 ReLU, default", chain(20, nn.ReLU, None)),
    _of("MLP 10 ReLU, default, Adam", chain(10, nn.ReLU, None), how=SLOW),
    _of("MLP 30 ReLU, default, Adam", chain(30, nn.ReLU, None), how=SLOW),
    _of("MLP 20 ReLU, He", chain(20, nn.ReLU, HE)),
    _of("MLP 20 ReLU, twice He", chain(20, nn.ReLU, gaussian(2 * math.sqrt(2)))),
    _of("MLP 20 ReLU, twice He, Adam", chain(20, nn.ReLU, gaussian(2 * math.sqrt(2))), how=ADAM),
    _of("MLP 3 sigmoid, Xavier, Adam", chain(3, nn.Sigmoid, XAVIER), how=ADAM),
    _of("MLP 10 sigmoid, Xavier", chain(10, nn.Sigmoid, XAVIER)),
    _of("MLP 10 sigmoid, Xavier, Adam", chain(10, nn.Sigmoid, XAVIER), how=ADAM),
    _of("MLP 10 tanh, default", chain(10, nn.Tanh, None)),
    _of("MLP 20 tanh, Xavier", chain(20, nn.Tanh, XAVIER)),
    _of("MLP 40 tanh, gain 0.7", chain(40, nn.Tanh, gaussian(0.7))),
    _of("MLP 40 tanh, gain 3", chain(40, nn.Tanh, gaussian(3.0))),
    _of("MLP 16 GELU, He, Adam", chain(16, nn.GELU, HE), how=SLOW),
    _of("MLP 20 GELU, default, Adam", chain(20, nn.GELU, None), how=SLOW),
    _of("MLP 30 SELU, LeCun", chain(30, nn.SELU, gaussian(1.0))),
    _of("MLP 8 softplus, default, Adam", chain(8, nn.Softplus, None), how=ADAM),
    _of("MLP 8 ReLU, dead biases", changed(chain(8, nn.ReLU, HE), _dead)),
    _of("MLP 4 ReLU, constant", changed(chain(4, nn.ReLU, None), _all(0.05)), how=ADAM),
    _of("MLP 4 ReLU, all zero", changed(chain(4, nn.ReLU, None), _all(0.0)), how=ADAM),
    _of("MLP 6 ReLU, He, zero head", changed(chain(6, nn.ReLU, HE), _zero_head)),
    _of("MLP 24 LayerNorm", normalised(24, nn.LayerNorm), how=SLOW),
    _of("MLP 12 BatchNorm", normalised(12, nn.BatchNorm1d)),
    _of("MLP 50 BatchNorm", normalised(50, nn.BatchNorm1d)),
    _of("CNN 5, default", convolutions(5, None), "images"),
    _of("CNN 20, default", convolutions(20, None), "images"),
    _of("CNN 20, He", convolutions(20, HE), "images", SLOW),
    _of("ResNet 8 BatchNorm", resnet(8, batch_norm=True), "images"),
    _of("ResNet 30, no norm, He", resnet(30, batch_norm=False), "images"),
    _of("residual MLP 60, no norm", residual(60, norm=False)),
    _of("residual MLP 30, pre-LN", residual(30, norm=True)),
    _of("residual MLP 30, zero branches", residual(30, norm=False, zero=True)),
    _of("ReZero 60", residual(60, norm=False, rezero=True)),
    _of("highway 30", lambda: nn.Sequential(*[Highway(64) for _ in range(30)], nn.Linear(64, 10)), how=ADAM),
    _of("pre-LN transformer 4", lambda: Transformer(4, norm_first=True), "rows", SLOW),
    _of("pre-LN transformer 12, dropout", lambda: Transformer(12, norm_first=True, dropout=0.1), "rows", SLOW),
    _of("post-LN transformer 4", lambda: Transformer(4, norm_first=False), "rows", SLOW),
    _of("post-LN transformer 24", lambda: Transformer(24, norm_first=False), "rows", SLOW),
    _of("GPT 6", lambda: Gpt(6), "counting", ADAM),
    _of("LSTM, 8 steps", lambda: Recurrent(nn.LSTM, 8), "rows", ADAM),
    _of("GRU, 8 steps", lambda: Recurrent(nn.GRU, 8), "rows", ADAM),
    _of("RNN, 8 steps", lambda: Recurrent(nn.RNN, 8), "rows", ADAM),
    _of("LSTM, recall over 60 steps", lambda: Recurrent(nn.LSTM, 4, 4), "recall", ADAM),
    _of("RNN, recall over 60 steps", lambda: Recurrent(nn.RNN, 4, 4), "recall", ADAM),
    _of("U-Net", UNet, "mask", ADAM),
    _of("autoencoder 6 ReLU", autoencoder(nn.ReLU, 6), "itself", ADAM),
    _of("autoencoder 14 sigmoid", autoencoder(nn.Sigmoid, 14), "itself", ADAM),
    _of("siamese", Siamese, "pairs", ADAM),
    _of("MLP-mixer 6", lambda: Mixer(6), "rows", ADAM),
    _of("mixture of experts", Experts, how=ADAM),
    _of("LoRA on a frozen backbone", Adapted, how=ADAM),
    _of("LoRA, both factors zero", lambda: Adapted(both_zero=True), how=ADAM),
)  # fmt: skip

WIDE = ("momentum", (0.1, 0.02, 0.004))
BORDERLINE: tuple[Architecture, ...] = (
    *(_of(f"MLP {depth} ReLU, default", chain(depth, nn.ReLU, None), how=WIDE) for depth in (6, 8, 9, 10, 11)),
    *(_of(f"MLP {depth} ReLU, default, Adam", chain(depth, nn.ReLU, None), how=SLOW) for depth in (12, 14, 16, 18)),
    *(_of(f"MLP {depth} tanh, gain 0.8, Adam", chain(depth, nn.Tanh, gaussian(0.8)), how=SLOW) for depth in (30, 40)),
    *(_of(f"MLP 20 ReLU, {g} He", chain(20, nn.ReLU, gaussian(g * 2**0.5)), how=WIDE) for g in (1.1, 1.2, 1.3, 1.4)),
    *(_of(f"MLP 20 ReLU, {g} He, Adam", chain(20, nn.ReLU, gaussian(g * 2**0.5)), how=ADAM) for g in (1.2, 1.3, 1.4)),
    *(_of(f"MLP {depth} BatchNorm", normalised(depth, nn.BatchNorm1d)) for depth in (20, 30, 36)),
    *(_of(f"MLP {depth} BatchNorm, Adam", normalised(depth, nn.BatchNorm1d), how=ADAM) for depth in (20, 30, 36)),
    *(_of(f"residual MLP {depth}, no norm", residual(depth, norm=False)) for depth in (4, 6, 8, 12)),
    *(_of(f"MLP {depth} sigmoid, Xavier, Adam", chain(depth, nn.Sigmoid, XAVIER), how=ADAM) for depth in (5, 6, 7, 8)),
)
"""Nets between sound and unsound: dials turned from where training works to where it does not."""
