"""Physics-informed net: derivatives of the output by autograd.grad(create_graph=True)."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
tx = torch.rand(256, 2) * torch.tensor([1.0, 2.0]) - torch.tensor([0.0, 1.0])
x0 = torch.linspace(-1, 1, 64).unsqueeze(1)
initial = torch.cat([torch.zeros_like(x0), x0], 1)
losses = []
for step in range(150):
    points = tx.clone().requires_grad_()
    u = net(points)
    du = torch.autograd.grad(u, points, torch.ones_like(u), create_graph=True)[0]
    u_t, u_x = du[:, :1], du[:, 1:]
    u_xx = torch.autograd.grad(u_x, points, torch.ones_like(u_x), create_graph=True)[0][:, 1:]
    residual = u_t + u * u_x - (0.01 / math.pi) * u_xx
    loss = residual.pow(2).mean() + (net(initial) + torch.sin(math.pi * x0)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
