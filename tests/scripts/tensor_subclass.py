"""A user's Tensor subclass with __torch_function__ runs through the model and the loss."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(44)
calls = []


class Tagged(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        calls.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})


net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
x = torch.randn(64, 4).as_subclass(Tagged)
y = (x[:, :1] * 0.5).sin()
losses = []
for _ in range(80):
    loss = ((net(x) - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print(type(loss).__name__, len(calls), calls[:20])
fingerprint(losses, net)
