"""An exception in the middle of training, chained, out of nested functions: exit code 1 and Python's traceback."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(6)
net = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.rand(50, 3)
y = x.sum(1, keepdim=True)
losses = []


def load(step):
    if step == 40:
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError(f"bad record at step {step}") from error
    return x, y


def train():
    for step in range(100):
        xb, yb = load(step)
        loss = nn.functional.mse_loss(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())


try:
    train()
finally:
    fingerprint(losses, net)
