"""torch's own complaint out of backward(): printed by the script the first time, left to Python the second."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(70)
net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(50, 3)
y = x[:, :1]
losses = []


def train_step(again):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    if again:
        loss.backward()
    opt.step()
    losses.append(loss.item())


for step in range(60):
    try:
        train_step(again=step == 20)
    except RuntimeError as error:
        print("caught", str(error)[:60])
fingerprint(losses, net)
train_step(again=True)
