"""A teacher under no_grad, a student with KL divergence at a temperature; BYOL-like target net beside it."""
import copy

import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(40)


def make(width):
    return nn.Sequential(nn.Linear(12, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))


x = torch.randn(256, 12)
y = (x @ torch.randn(12, 4)).argmax(1)
teacher, student = make(64), make(16)
opt = torch.optim.Adam(teacher.parameters(), lr=3e-3)
losses = []
for _ in range(80):
    loss = F.cross_entropy(teacher(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
teacher.eval().requires_grad_(False)
opt = torch.optim.Adam(student.parameters(), lr=5e-3)
for _ in range(100):
    with torch.no_grad():
        soft = F.log_softmax(teacher(x) / 3, dim=1)
    out = student(x)
    loss = 9 * F.kl_div(F.log_softmax(out / 3, 1), soft, reduction="batchmean", log_target=True) + F.cross_entropy(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())

online = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 8))
target = copy.deepcopy(online).requires_grad_(False)
predictor = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 8))
opt = torch.optim.SGD([*online.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9)
for _ in range(60):
    a, b = x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x)
    loss = -F.cosine_similarity(predictor(online(a)), target(b)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    for t, o in zip(target.parameters(), online.parameters()):
        t.data.mul_(0.95).add_(o.data, alpha=0.05)
    losses.append(loss.item())
fingerprint(losses, teacher, student, online, target)
