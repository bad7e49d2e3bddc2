"""Sick: twelve sigmoid layers under SGD; nothing reaches the first ones."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(61)
layers = [nn.Linear(16, 32), nn.Sigmoid()]
for _ in range(10):
    layers += [nn.Linear(32, 32), nn.Sigmoid()]
net = nn.Sequential(*layers, nn.Linear(32, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(192, 16)
y = (x @ torch.randn(16, 3)).argmax(1)
losses = []
for epoch in range(30):
    for xb, yb in zip(x.split(64), y.split(64)):
        loss = nn.functional.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, net)
