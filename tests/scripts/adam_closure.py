"""Adam with a closure, passed by keyword."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
x = torch.randn(128, 6)
y = x.pow(2).mean(1, keepdim=True)
losses = []
for i in range(150):

    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    losses.append(opt.step(closure=closure).item())
fingerprint(losses, model)
