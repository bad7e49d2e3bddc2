"""A recurrent cell written out by hand, truncated back-propagation through time with detach()."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(0)


class Cell(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.Wx = nn.Parameter(torch.randn(n_in, n_hidden) / math.sqrt(n_in))
        self.Wh = nn.Parameter(torch.randn(n_hidden, n_hidden) / math.sqrt(n_hidden))
        self.b = nn.Parameter(torch.zeros(n_hidden))

    def forward(self, x, h):
        return torch.tanh(x @ self.Wx + h @ self.Wh + self.b)


cell, head = Cell(2, 32), nn.Linear(32, 1)
params = list(cell.parameters()) + list(head.parameters())
opt = torch.optim.RMSprop(params, lr=2e-3)
stream = torch.rand(320, 16, 2)
target = torch.zeros(320, 16, 1)
for t in range(2, 320):
    target[t] = stream[t - 1, :, :1] * stream[t - 2, :, 1:]

losses = []
for epoch in range(4):
    h = torch.zeros(16, 32)
    for start in range(0, 320, 20):
        h = h.detach()
        loss = 0.0
        for t in range(start, start + 20):
            h = cell(stream[t], h)
            loss = loss + ((head(h) - target[t]) ** 2).mean()
        loss = loss / 20
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, max_norm=1.0)
        opt.step()
        losses.append(loss.item())
fingerprint(losses, cell, head)
