"""fused=True, foreach=False, maximize=True, capturable-like variants, every optimizer of torch.optim once."""
import torch
from torch import nn, optim

from fingerprint import fingerprint

x = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
y = x[:, :1] - 0.5 * x[:, 1:2]
losses, nets = [], []
for make, sign in [
    (lambda p: optim.AdamW(p, lr=1e-2, fused=True), 1),
    (lambda p: optim.SGD(p, lr=0.1, momentum=0.9, fused=True), 1),
    (lambda p: optim.Adagrad(p, lr=0.1, fused=True), 1),
    (lambda p: optim.Adam(p, lr=1e-2, foreach=True), 1),
    (lambda p: optim.Adam(p, lr=1e-2, foreach=False, maximize=True), -1),
    (lambda p: optim.Adadelta(p, lr=1.0), 1),
    (lambda p: optim.Adamax(p, lr=1e-2), 1),
    (lambda p: optim.ASGD(p, lr=0.05), 1),
    (lambda p: optim.Rprop(p, lr=1e-2), 1),
    (lambda p: optim.Adafactor(p, lr=1e-1), 1),
]:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
    opt = make(net.parameters())
    for _ in range(40):
        loss = sign * nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    nets.append(net)
fingerprint(losses, nets)
