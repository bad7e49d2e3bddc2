"""Sick: clipping before unscale_, so that the loss scale decides how much is cut off."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(66)
net = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
x = torch.randn(256, 10)
y = x[:, :2].sum(1, keepdim=True)
losses = []
for step in range(80):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    scaler.scale(loss).backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    losses.append(loss.item())
fingerprint(losses, net)
