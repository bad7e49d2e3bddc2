"""Activation checkpointing, the re-entrant kind, with dropout inside."""
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from fingerprint import fingerprint

torch.manual_seed(3)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * d, d))

    def forward(self, x):
        return x + self.net(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(12, 32)
        self.blocks = nn.ModuleList([Block(32) for _ in range(4)])
        self.tail = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = self.inp(x)
        for b in self.blocks:
            x = checkpoint(b, x, use_reentrant=True)
        x = checkpoint_sequential(self.tail, 2, x, use_reentrant=True)
        return self.out(x)


x = torch.randn(128, 12)
y = (x[:, :2].prod(1, keepdim=True)).tanh()
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
losses = []
for step in range(80):
    opt.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
