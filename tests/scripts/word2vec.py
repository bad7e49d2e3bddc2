"""Skip-gram with negative sampling, SGD with momentum, and a matrix factorisation with biases."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(36)


class SkipGram(nn.Module):
    def __init__(self, n, d=16):
        super().__init__()
        self.inner, self.outer = nn.Embedding(n, d), nn.Embedding(n, d)
        nn.init.uniform_(self.inner.weight, -0.1, 0.1)
        nn.init.uniform_(self.outer.weight, -0.1, 0.1)

    def forward(self, centre, context, negative):
        c = self.inner(centre)
        good = (c * self.outer(context)).sum(1)
        bad = torch.bmm(self.outer(negative), c.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(good) + F.logsigmoid(-bad).sum(1)).mean()


net = SkipGram(60)
opt = torch.optim.Adam(net.parameters(), lr=2e-2)
losses = []
for step in range(150):
    centre = torch.randint(0, 60, (128,))
    context = (centre + torch.randint(1, 4, (128,))) % 60
    loss = net(centre, context, torch.randint(0, 60, (128, 3)))
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())

ratings = (torch.randn(40, 3) @ torch.randn(3, 30)) / 2 + 3
i, j = torch.randint(0, 40, (800,)), torch.randint(0, 30, (800,))
P, Q, bu, bi = nn.Embedding(40, 4), nn.Embedding(30, 4), nn.Embedding(40, 1), nn.Embedding(30, 1)
params = [p for m in (P, Q, bu, bi) for p in m.parameters()]
opt = torch.optim.Adam(params, lr=2e-2, weight_decay=1e-5)
for step in range(100):
    k = torch.randint(0, 800, (128,))
    pred = (P(i[k]) * Q(j[k])).sum(1) + bu(i[k]).squeeze(1) + bi(j[k]).squeeze(1)
    loss = F.mse_loss(pred, ratings[i[k], j[k]] - 3)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net, params)
