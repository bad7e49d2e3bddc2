"""sys.exit with a text: Python prints it on stderr and returns 1."""
import sys

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(9)
net = nn.Linear(3, 1)
opt = torch.optim.Adam(net.parameters(), lr=0.05)
x = torch.randn(32, 3)
losses = []
for step in range(40):
    loss = (net(x) - x.mean(1, keepdim=True)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
if losses[-1] > -1:
    sys.exit("early stopping: validation loss did not improve")
