"""Domain-adversarial training: a gradient reversal layer, two losses, infinite iterators over loaders."""
from itertools import cycle

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fingerprint import fingerprint

torch.manual_seed(39)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g.neg() * ctx.strength, None


features = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
label, domain = nn.Linear(16, 2), nn.Linear(16, 2)
opt = torch.optim.SGD(
    [{"params": features.parameters(), "lr": 0.05}, {"params": label.parameters()}, {"params": domain.parameters()}],
    lr=0.1, momentum=0.9,
)
xs, xt = torch.randn(256, 6), torch.randn(192, 6) + 0.5
ys = (xs[:, 0] - xs[:, 1] > 0).long()
source = DataLoader(TensorDataset(xs, ys), 32, shuffle=True)
target = DataLoader(TensorDataset(xt), 32, shuffle=True)
losses = []
for epoch in range(8):
    for (a, y), (b,) in zip(source, cycle(target)):
        fa, fb = features(a), features(b)
        strength = min(0.3, 0.05 * epoch)
        d = domain(Reverse.apply(torch.cat([fa, fb]), strength))
        who = torch.cat([torch.zeros(len(a)), torch.ones(len(b))]).long()
        loss = nn.functional.cross_entropy(label(fa), y) + 0.5 * nn.functional.cross_entropy(d, who)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, features, label, domain)
