"""Warnings of torch and of the script, with the lines that they point at."""
import warnings

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(72)
net = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
sched = torch.optim.lr_scheduler.StepLR(opt, 30)
sched.step()
x = torch.randn(32, 4)
y = x[:, :1]
losses = []
nn.utils.clip_grad_norm_((p for p in []), 1.0)
for step in range(60):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward(create_graph=step == 3)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
    if step == 10:
        hidden = net[0](x)
        print(hidden.grad)
        nn.functional.mse_loss(hidden[:, :1].squeeze(1), y)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.nn.utils.clip_grad_norm_(iter(()), 1.0)
            sched.step(5)
        print([(str(w.message)[:40], w.lineno) for w in caught])
for p in net.parameters():
    p.grad = None
warnings.warn("done")
fingerprint(losses, net)
