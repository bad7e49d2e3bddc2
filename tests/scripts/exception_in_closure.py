"""The closure of LBFGS raises, and a module's constructor has raised before."""
import torch
from torch import nn

from fingerprint import fingerprint


class Broken(nn.Module):
    def __init__(self, size):
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        self.fc = nn.Linear(size, 1)


try:
    Broken(0)
except ValueError as error:
    print("caught", error)
torch.manual_seed(71)
net = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
opt = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4)
x = torch.randn(40, 3)
y = x.sum(1, keepdim=True).sin()
losses = []


def closure():
    opt.zero_grad()
    loss = (net(x) - y).pow(2).mean()
    loss.backward()
    if len(losses) == 12:
        fingerprint(losses, net)
        raise LookupError("no more data")
    return loss


for step in range(20):
    losses.append(opt.step(closure).item())
