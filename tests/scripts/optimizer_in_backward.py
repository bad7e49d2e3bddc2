"""One optimizer per parameter, stepping inside backward from a post-accumulate hook."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(26)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
optimizers = {p: torch.optim.Adam([p], lr=3e-3) for p in net.parameters()}


def step_now(p):
    optimizers[p].step()
    optimizers[p].zero_grad()


for p in net.parameters():
    p.register_post_accumulate_grad_hook(step_now)
x = torch.randn(128, 8)
y = x[:, :1] * 0.5 + x[:, 1:2] ** 2 * 0.3
losses = []
for _ in range(100):
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    losses.append(loss.item())
fingerprint(losses, net)
