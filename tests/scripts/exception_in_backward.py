"""The user's own autograd Function raises in backward, once caught by the script and once not."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(7)


class Picky(torch.autograd.Function):
    calls = 0

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        Picky.calls += 1
        if Picky.calls in (16, 50):
            raise RuntimeError(f"refused at call {Picky.calls}")
        return g


a, b = nn.Linear(4, 16), nn.Linear(16, 1)
opt = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)
x = torch.rand(50, 4)
y = x.mean(1, keepdim=True)
losses = []
for step in range(80):
    opt.zero_grad()
    loss = nn.functional.mse_loss(b(Picky.apply(torch.relu(a(x)))), y)
    try:
        loss.backward()
    except RuntimeError as error:
        print("caught", error)
        if step > 20:
            fingerprint(losses, a, b)
            raise
        continue
    opt.step()
    losses.append(loss.item())
