"""Sick: raw inputs of several hundred drive a tanh layer into saturation."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(67)
net = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))
opt = torch.optim.SGD(net.parameters(), lr=0.05)
x = torch.randn(256, 12) * 300 + 500
y = ((x - 500) @ torch.randn(12, 4)).argmax(1)
losses = []
for step in range(120):
    i = torch.randint(0, 256, (64,))
    loss = nn.functional.cross_entropy(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
