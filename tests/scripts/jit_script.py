"""A scripted model and a scripted loss."""
import torch
from torch import nn

from fingerprint import fingerprint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 24)
        self.fc2 = nn.Linear(24, 1)

    def forward(self, x):
        h = torch.tanh(self.fc1(x))
        if x.size(0) > 3:
            h = h * 1.0
        return self.fc2(h)


@torch.jit.script
def criterion(pred, y):
    return ((pred - y) ** 2).mean()


torch.manual_seed(15)
net = torch.jit.script(Net())
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
x = torch.randn(64, 6)
y = x[:, :1].abs()
losses = []
for _ in range(100):
    loss = criterion(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
