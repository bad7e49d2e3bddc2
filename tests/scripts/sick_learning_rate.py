"""Sick: Adam with a learning rate of 1."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(64)
net = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
opt = torch.optim.Adam(net.parameters(), lr=1.0)
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
