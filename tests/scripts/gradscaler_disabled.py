"""One code path for all precisions: GradScaler(enabled=False), scale, unscale_, step, update."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(73)
net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 1))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", enabled=False)
x = torch.randn(64, 8)
y = x[:, :1] * 0.5
losses = []
for step in range(300):
    with torch.autocast("cpu", enabled=False):
        loss = nn.functional.mse_loss(net(x), y)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    opt.zero_grad(set_to_none=True)
    losses.append(loss.item())
print(scaler.get_scale(), scaler.is_enabled())
fingerprint(losses, net)
