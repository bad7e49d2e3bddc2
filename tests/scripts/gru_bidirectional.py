"""Bidirectional two-layer GRU: does the sequence hold an ascending run?"""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(3)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(10, 16)
        self.gru = nn.GRU(16, 24, num_layers=2, bidirectional=True, batch_first=True, dropout=0.2)
        self.cls = nn.Linear(48, 2)

    def forward(self, x):
        out, h = self.gru(self.emb(x))
        return self.cls(torch.cat([h[-2], h[-1]], dim=1))


x = torch.randint(0, 10, (256, 12))
y = (x[:, 0] > x[:, -1]).long()
model = Tagger().train()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
losses = []
for epoch in range(8):
    for xb, yb in zip(x.chunk(4), y.chunk(4)):
        loss = nn.CrossEntropyLoss()(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
fingerprint(losses, model)
