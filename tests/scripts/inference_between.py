"""Evaluation under inference_mode and no_grad between steps, with the same modules, in eval and train mode."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(17)
net = nn.Sequential(nn.Linear(12, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 3))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
x = torch.randn(320, 12)
y = (x @ torch.randn(12, 3)).argmax(1)
losses, scores = [], []


@torch.inference_mode()
def accuracy(part):
    net.eval()
    correct = (net(x[part]).argmax(1) == y[part]).float().mean().item()
    net.train()
    return correct


for step in range(80):
    idx = torch.randint(0, 256, (64,))
    loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
    opt.zero_grad()
    scores.append(accuracy(slice(256, 320)))
    loss.backward()
    with torch.no_grad():
        net(x[:64])
    opt.step()
    losses.append(loss.item())
print("accuracy", scores[0], scores[-1])
fingerprint(losses, net)
