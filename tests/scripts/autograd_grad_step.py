"""torch.autograd.grad fills .grad: no call of backward; two losses with different parameters."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(42)
net = nn.Sequential(nn.Linear(5, 24), nn.Softplus(), nn.Linear(24, 1))
params = list(net.parameters())
opt = torch.optim.AdamW(params, lr=5e-3)
x = torch.randn(96, 5)
y = x.pow(2).mean(1, keepdim=True)
losses = []
for _ in range(150):
    loss = (net(x) - y).pow(2).mean()
    grads = torch.autograd.grad(loss, params)
    for p, g in zip(params, grads):
        p.grad = g
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
