"""Four thousand tiny steps of logistic regression."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(22)
x = torch.randn(256, 4)
y = (x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.5 * torch.randn(256) > 0).float().unsqueeze(1)
model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.02)
losses = []
for step in range(4000):
    i = step * 8 % 256
    loss = nn.functional.binary_cross_entropy_with_logits(model(x[i : i + 8]), y[i : i + 8])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        losses.append(loss.item())
fingerprint(losses, model)
