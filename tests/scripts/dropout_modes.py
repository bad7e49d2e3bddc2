"""Dropout of every kind, functional too; Monte-Carlo dropout at evaluation."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(18)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 16, 3)
        self.drop = nn.Dropout1d(0.1)
        self.fc = nn.Linear(16 * 10, 2)
        self.alpha = nn.AlphaDropout(0.05)

    def forward(self, x):
        x = self.drop(F.selu(self.conv(x)))
        x = self.alpha(F.dropout(x, 0.1, training=self.training))
        return self.fc(x.flatten(1))


net = Net()
x = torch.randn(256, 3, 12)
y = (x[:, 0].mean(1) > x[:, 1].mean(1)).long()
opt = torch.optim.RAdam(net.parameters(), lr=3e-3)
losses = []
for epoch in range(12):
    net.train()
    for i in torch.randperm(256).split(32):
        loss = F.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    net.drop.train()
    with torch.no_grad():
        spread = torch.stack([net(x[:32]).softmax(1) for _ in range(5)]).std(0).mean()
print("spread", repr(spread.item()))
fingerprint(losses, net)
