"""Inverted residual blocks: depthwise convolutions, ReLU6, in-place additions."""
import torch
import torch.nn as nn

from fingerprint import fingerprint

torch.manual_seed(1)


class InvertedResidual(nn.Module):
    def __init__(self, c, expand=3):
        super().__init__()
        hidden = c * expand
        self.conv = nn.Sequential(
            nn.Conv2d(c, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, c, 1, bias=False),
            nn.BatchNorm2d(c),
        )

    def forward(self, x):
        out = self.conv(x)
        out += x
        return out


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*[InvertedResidual(12) for _ in range(3)])
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(x.mean([2, 3]))


x = torch.randn(192, 3, 16, 16)
y = torch.randint(0, 3, (192,))
x[torch.arange(192), y] += 0.7
model = Mobile()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
crit = nn.CrossEntropyLoss(label_smoothing=0.1)
losses = []
for epoch in range(5):
    for xb, yb in zip(x.split(48), y.split(48)):
        loss = crit(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, model)
