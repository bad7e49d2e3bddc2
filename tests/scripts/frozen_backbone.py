"""Fine-tuning: a frozen backbone in eval mode, an auxiliary head that is never called, a new head that learns."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(4)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.aux = nn.Linear(64, 7)

    def forward(self, x):
        return self.body(x)


backbone = Backbone()
for p in backbone.parameters():
    p.requires_grad = False
backbone.eval()
head = nn.Linear(64, 3)
model = nn.Sequential(backbone, head)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
x = torch.randn(384, 16)
y = (x @ torch.randn(16, 3)).argmax(1)
losses = []
for epoch in range(12):
    for xb, yb in zip(x.split(64), y.split(64)):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
print([n for n, p in model.named_parameters() if p.grad is not None])
fingerprint(losses, model)
