"""Sick: log of a softmax that reaches zero; the loss is NaN from step 25 on and training goes on regardless."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(60)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(128, 8)
y = (x @ torch.randn(8, 4)).argmax(1)
losses = []
for step in range(60):
    xb = x.clone()
    if step == 25:
        xb[3] *= 1e4
    p = net(xb).softmax(1)
    loss = -(nn.functional.one_hot(y, 4) * torch.log(p)).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
