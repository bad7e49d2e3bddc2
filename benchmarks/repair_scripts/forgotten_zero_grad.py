"""A training loop that never zeroes its gradients."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
x = torch.from_numpy(digits.data).float() / 16
y = torch.from_numpy(digits.target)
net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.1)


def train_epoch():
    total = 0.0
    for idx in torch.randperm(len(x)).split(64):
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(x)


for epoch in range(150):
    mean = train_epoch()
    if epoch % 10 == 0:
        print(f"{epoch:3d} {mean:.4f}")
print(f"FINAL loss={mean:.4f}")
