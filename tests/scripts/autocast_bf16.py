"""bfloat16 autocast on the CPU, no scaler."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(32, 128), nn.LayerNorm(128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 5))
x = torch.randn(512, 32)
y = (x @ torch.randn(32, 5)).argmax(1)
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
losses = []
for epoch in range(6):
    for xb, yb in zip(x.split(64), y.split(64)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(xb)
            loss = nn.functional.cross_entropy(logits, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
print(logits.dtype, loss.dtype)
fingerprint(losses, model)
