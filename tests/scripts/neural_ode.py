"""A neural ODE: Runge-Kutta steps through one small net, sixteen uses of the same weights."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(33)


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        nn.init.normal_(self.net[2].weight, std=0.1)

    def forward(self, y):
        return self.net(y)


def rk4(f, y, dt):
    k1 = f(y)
    k2 = f(y + dt / 2 * k1)
    k3 = f(y + dt / 2 * k2)
    k4 = f(y + dt * k3)
    return y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


true = torch.tensor([[-0.1, 1.0], [-1.0, -0.1]])
y0 = torch.randn(64, 2)
truth = [y0]
for _ in range(4):
    truth.append(truth[-1] @ torch.linalg.matrix_exp(true * 0.25))
field = Field()
opt = torch.optim.Adam(field.parameters(), lr=1e-2)
losses = []
for it in range(100):
    y, loss = y0, 0.0
    for k in range(1, 5):
        y = rk4(field, y, 0.25)
        loss = loss + (y - truth[k]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, field)
