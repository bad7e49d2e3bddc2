"""Four micro-batches to an optimizer step, loss divided, last incomplete window stepped too."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(2)
x = torch.randn(300, 16)
w = torch.randn(16, 4)
y = (x @ w).argmax(1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 4))
opt = torch.optim.AdamW(model.parameters(), lr=1e-2)
accumulate = 4
losses = []
for epoch in range(10):
    opt.zero_grad()
    for i, (xb, yb) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(xb), yb) / accumulate
        loss.backward()
        losses.append(loss.item() * accumulate)
        if (i + 1) % accumulate == 0 or i + 1 == len(loader):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
fingerprint(losses, model)
