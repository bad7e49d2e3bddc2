"""detect_anomaly switched on by the user: as a context, then for the rest of the script."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(9)
net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
x = torch.rand(64, 4)
y = x.sum(1, keepdim=True)
losses = []
for step in range(80):
    opt.zero_grad()
    if step < 20:
        with torch.autograd.detect_anomaly():
            loss = (net(x) - y).pow(2).mean()
            loss.backward()
    else:
        loss = (net(x) - y).pow(2).mean()
        loss.backward()
    opt.step()
    losses.append(loss.item())
    if step == 40:
        torch.autograd.set_detect_anomaly(True)
print(torch.is_anomaly_enabled())
fingerprint(losses, net)
