"""Sick: the optimizer was given the parameters of another model; the one in use never changes."""
import copy

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(68)
net = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
net = copy.deepcopy(net)
x = torch.randn(256, 10)
y = (x @ torch.randn(10, 3)).argmax(1)
losses = []
for step in range(80):
    loss = nn.functional.cross_entropy(net(x), y)
    net.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
