"""The optimizer changes mid-way: Adam, then SGD; a param group is added when a layer is unfrozen; a layer is replaced."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(23)
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
net[0].requires_grad_(False)
x = torch.randn(160, 10)
y = x[:, :2].sum(1, keepdim=True)
losses = []


def fit(opt, steps):
    for _ in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())


adam = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=3e-3)
fit(adam, 60)
net[0].requires_grad_(True)
adam.add_param_group({"params": net[0].parameters(), "lr": 1e-3})
fit(adam, 60)
net[4] = nn.Linear(32, 1)
fit(torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), 60)
fingerprint(losses, net)
