"""ResNet with projection shortcuts and zero-initialised last batch norms; channels_last; torch.no_grad evaluation."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(50)


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        nn.init.zeros_(self.bn2.weight)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


net = nn.Sequential(
    nn.Conv2d(3, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
    BasicBlock(12, 12), BasicBlock(12, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4),
).to(memory_format=torch.channels_last)
x = torch.randn(192, 3, 12, 12).to(memory_format=torch.channels_last)
y = torch.randint(0, 4, (192,))
for k in range(4):
    x[y == k, k % 3, :, (k // 2) * 6 : (k // 2) * 6 + 6] += 0.8
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 6)
losses = []
for epoch in range(6):
    for i in torch.randperm(192).split(48):
        xb = torch.flip(x[i], [2]) if epoch % 2 else x[i]
        loss = F.cross_entropy(net(xb), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
fingerprint(losses, net)
