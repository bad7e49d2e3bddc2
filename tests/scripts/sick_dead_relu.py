"""Sick: a large negative bias kills every unit of the second layer."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(63)
net = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
nn.init.constant_(net[2].bias, -30.0)
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
x = torch.randn(256, 10)
y = (x @ torch.randn(10, 3)).argmax(1)
losses = []
for step in range(100):
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
