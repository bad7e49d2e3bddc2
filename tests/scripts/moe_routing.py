"""Mixture of experts with top-1 routing by indexing: some experts see no sample in a step, two heads, dict of losses."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(30)


class MoE(nn.Module):
    def __init__(self, d=16, experts=4):
        super().__init__()
        self.gate = nn.Linear(d, experts)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(d, 32), nn.GELU(), nn.Linear(32, d)) for _ in range(experts)])

    def forward(self, x):
        p = self.gate(x).softmax(-1)
        weight, choice = p.max(-1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (choice == i).nonzero().squeeze(1)
            if len(rows):
                out[rows] = expert(x[rows]) * weight[rows].unsqueeze(1)
        return x + out, p.mean(0).pow(2).sum() * len(self.experts)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp, self.moe = nn.Linear(10, 16), MoE()
        self.heads = nn.ModuleDict({"cls": nn.Linear(16, 3), "reg": nn.Linear(16, 1)})

    def forward(self, x):
        h, balance = self.moe(torch.relu(self.inp(x)))
        return {k: head(h) for k, head in self.heads.items()}, balance


x = torch.randn(256, 10)
cls, reg = (x @ torch.randn(10, 3)).argmax(1), x[:, :1].abs()
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
losses = []
for epoch in range(12):
    for i in range(0, 256, 32):
        out, balance = net(x[i : i + 32])
        parts = {
            "cls": F.cross_entropy(out["cls"], cls[i : i + 32]),
            "reg": F.mse_loss(out["reg"], reg[i : i + 32]),
            "balance": 0.01 * balance,
        }
        loss = sum(parts.values())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, net)
