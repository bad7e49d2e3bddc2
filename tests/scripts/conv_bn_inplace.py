"""Conv net with batch norm and in-place ReLU."""
import torch
import torch.nn as nn

from fingerprint import fingerprint

torch.manual_seed(0)


def conv_block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class SmallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv_block(1, 16), nn.MaxPool2d(2), conv_block(16, 32), conv_block(32, 32))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 4)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.features(x)), 1))


x = torch.randn(256, 1, 12, 12) * 0.3
y = torch.randint(0, 4, (256,))
for i in range(256):
    r, c = divmod(int(y[i]), 2)
    x[i, 0, r * 6 : r * 6 + 6, c * 6 : c * 6 + 6] += torch.eye(6) * 2
model = SmallNet()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
losses = []
for epoch in range(6):
    model.train()
    for xb, yb in zip(x.split(64), y.split(64)):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        print(epoch, (model(x).argmax(1) == y).float().mean().item())
fingerprint(losses, model)
