"""A traced model is trained; between steps the plain one is traced, exported and frozen again."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(16)
plain = nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(80, 1))
example = torch.randn(4, 2, 10)
traced = torch.jit.trace(plain, example)
opt = torch.optim.SGD(traced.parameters(), lr=0.02, momentum=0.9)
x = torch.randn(96, 2, 10)
y = x.mean((1, 2)).unsqueeze(1) * 3
losses = []
for step in range(80):
    loss = nn.functional.mse_loss((traced if step % 2 else plain)(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(len(list(torch.jit.trace(plain, example).graph.nodes())), str(torch.fx.symbolic_trace(plain).graph).count("\n"))
fingerprint(losses, plain)
