"""A decorated loss function and a compiled optimizer step (fullgraph=False)."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(1)
net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
x = torch.randn(96, 6)
y = x.abs().mean(1, keepdim=True)


@torch.compile(backend="eager")
def compute(x, y):
    return nn.functional.mse_loss(net(x), y)


@torch.compile(backend="eager", fullgraph=False)
def update():
    opt.step()


losses = []
for step in range(80):
    loss = compute(x, y)
    loss.backward()
    update()
    opt.zero_grad()
    losses.append(loss.item())
fingerprint(losses, net)
