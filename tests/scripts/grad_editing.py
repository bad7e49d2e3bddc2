"""The script edits .grad between backward and step: noise, masks, centring, replacing, None."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(12)
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
mask = (torch.rand(32, 32) > 0.3).float()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
x = torch.randn(200, 10)
y = (x[:, :5].sum(1) > 0).long()
losses = []
for step in range(100):
    opt.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    net[2].weight.grad *= mask
    for p in net.parameters():
        if p.dim() > 1:
            p.grad.add_(torch.randn_like(p.grad), alpha=1e-4)
            p.grad -= p.grad.mean(1, keepdim=True)
    net[0].bias.grad = net[0].bias.grad.clone() * 0.5
    if step % 10 == 9:
        net[4].bias.grad = None
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
