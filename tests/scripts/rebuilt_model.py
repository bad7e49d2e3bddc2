"""Model, optimizer and all are built anew several times (a small hyper-parameter search); weak references die."""
import gc
import weakref

import torch
from torch import nn

from fingerprint import fingerprint


def trial(width, lr):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1))
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    x = torch.randn(96, 8)
    y = x[:, :1] + x[:, 1:2]
    losses = []
    for _ in range(50):
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses, net, weakref.ref(net), weakref.ref(net[0].weight), weakref.ref(opt), weakref.ref(loss)


best, refs, curves = None, [], []
for width, lr in [(8, 0.02), (16, 0.02), (32, 0.02), (32, 0.05)]:
    losses, net, *new = trial(width, lr)
    curves += losses
    refs += new
    if best is None or losses[-1] < best[0]:
        best = (losses[-1], net)
    del net
gc.collect()
print("alive", [r() is not None for r in refs])
final = best[1]
fingerprint(curves, final)
