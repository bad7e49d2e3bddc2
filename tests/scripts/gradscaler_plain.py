"""GradScaler without unscale_: one Inf batch in the middle is skipped, Adam goes on."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(2)
model = nn.Linear(8, 1)
opt = torch.optim.Adam(model.parameters(), lr=2e-2)
scaler = torch.amp.GradScaler(device="cpu", init_scale=256.0, growth_interval=50)
x = torch.randn(128, 8)
y = x @ torch.randn(8, 1)
losses = []
for step in range(150):
    xb = x.clone()
    if step == 60:
        xb[0, 0] = float("inf")
    loss = (model(xb) - y).abs().mean()
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
    losses.append(loss.item())
print(scaler.get_scale())
fingerprint(losses, model)
