"""Sick: zero_grad is missing, gradients pile up."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(65)
net = nn.Sequential(nn.Linear(10, 48), nn.Tanh(), nn.Linear(48, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(256, 10)
y = (x @ torch.randn(10, 3)).argmax(1)
losses = []
for step in range(120):
    i = torch.randint(0, 256, (32,))
    loss = nn.functional.cross_entropy(net(x[i]), y[i])
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
