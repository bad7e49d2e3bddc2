"""LoRA: frozen weights, adapters whose second factor starts at zero (so the first gets no gradient at step 0)."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(27)


class LoRALinear(nn.Module):
    def __init__(self, base, rank=4, alpha=8):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + (x @ self.A.T @ self.B.T) * self.scale


net = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 4))
for i in (0, 2, 4):
    net[i] = LoRALinear(net[i])
opt = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=5e-3)
x = torch.randn(256, 16)
y = (x @ torch.randn(16, 4)).argmax(1)
losses = []
for epoch in range(15):
    for xb, yb in zip(x.split(64), y.split(64)):
        loss = nn.functional.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, net)
