"""RealNVP couplings with log-determinants, negative log-likelihood below zero."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(34)


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, x):
        a, b = x.flip(1).chunk(2, 1) if self.flip else x.chunk(2, 1)
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s)
        y = torch.cat([a, b * s.exp() + t], 1)
        return (y.flip(1) if self.flip else y), s.sum(1)


flow = nn.ModuleList([Coupling(i % 2 == 1) for i in range(4)])
x = torch.randn(512, 2) * 0.3
x[:, 1] += 0.5 * x[:, 0].sin() + 0.2
opt = torch.optim.Adam(flow.parameters(), lr=5e-3)
losses = []
for step in range(120):
    z, log_det = x[torch.randint(0, 512, (128,))], 0.0
    for layer in flow:
        z, d = layer(z)
        log_det = log_det + d
    loss = (0.5 * z.pow(2).sum(1) + math.log(2 * math.pi) - log_det).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, flow)
