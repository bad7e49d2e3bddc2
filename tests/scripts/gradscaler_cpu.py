"""GradScaler on the CPU with float16 autocast: the first steps overflow and are skipped by design."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
x = torch.randn(256, 16)
y = x[:, :4].sum(1, keepdim=True)
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=20)
losses = []
for step in range(120):
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        pred = model(x)
    loss = nn.functional.mse_loss(pred.float(), y)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    scaler.step(opt)
    before = scaler.get_scale()
    scaler.update()
    if scaler.get_scale() < before:
        print("skipped", step, before)
    losses.append(loss.item())
print("scale", scaler.get_scale(), scaler.state_dict())
fingerprint(losses, model)
