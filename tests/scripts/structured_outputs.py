"""forward() takes keyword arguments and dicts, returns dataclasses, dicts and an OrderedDict with attributes."""
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Optional

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(7)


class ModelOutput(OrderedDict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


@dataclass
class EncoderOutput:
    last: torch.Tensor
    hidden: Optional[tuple] = None


Pair = namedtuple("Pair", "mean scale")


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 12) for _ in range(3)])

    def forward(self, *, inputs, keep=False):
        h, hidden = inputs["x"], []
        for layer in self.layers:
            h = nn.functional.gelu(layer(h))
            hidden.append(h)
        return EncoderOutput(h, tuple(hidden) if keep else None)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.scale = nn.Linear(12, 1), nn.Linear(12, 1)

    def forward(self, encoded):
        return Pair(self.mean(encoded.last), nn.functional.softplus(self.scale(encoded.last)) + 0.1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = Encoder(), Head()

    def forward(self, batch, labels=None):
        encoded = self.encoder(inputs=batch, keep=True)
        pair = self.head(encoded)
        loss = None
        if labels is not None:
            loss = -torch.distributions.Normal(*pair).log_prob(labels).mean()
        return ModelOutput(loss=loss, pair=pair, hidden_states=encoded.hidden, note="text", nothing=None)


x = torch.randn(160, 12)
y = x[:, :1] + 0.2 * torch.randn(160, 1)
model = Model()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for step in range(120):
    out = model({"x": x, "ids": list(range(3))}, labels=y)
    opt.zero_grad()
    out.loss.backward()
    opt.step()
    losses.append(out["loss"].item())
print(len(out.hidden_states), out.note)
fingerprint(losses, model)
