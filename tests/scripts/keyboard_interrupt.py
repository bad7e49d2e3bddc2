"""Ctrl-C arrives in the middle of training; the script catches it, saves, and ends well."""
import os
import signal

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(11)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGTERM))
net = nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(32, 3)
losses = []
try:
    for step in range(100):
        loss = (net(x) - x.mean(1, keepdim=True)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        if step == 60:
            os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted at", len(losses))
fingerprint(losses, net)
