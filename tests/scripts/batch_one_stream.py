"""Batch size one, scalar outputs, per-sample steps, a list of modules called by hand, hidden state kept in a closure."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(49)
layers = [nn.Linear(3, 12), nn.Linear(12, 12), nn.Linear(12, 1)]
acts = [torch.tanh, lambda v: v.relu(), lambda v: v]
opt = torch.optim.SGD([p for l in layers for p in l.parameters()], lr=0.02)


def model(v):
    for layer, act in zip(layers, acts):
        v = act(layer(v))
    return v.squeeze()


losses = []
for i in range(500):
    v = torch.randn(3)
    loss = (model(v) - (v[0] - 0.5 * v[1])) ** 2
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, layers[0], layers[1], layers[2])
