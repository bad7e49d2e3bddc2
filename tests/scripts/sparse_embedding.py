"""Sparse gradients: EmbeddingBag and Embedding under SparseAdam, the dense head under Adam."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(4)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.EmbeddingBag(500, 16, mode="mean", sparse=True)
        self.user = nn.Embedding(50, 16, sparse=True)
        self.head = nn.Linear(16, 2)

    def forward(self, words, user):
        return self.head(self.words(words) + self.user(user))


words = torch.randint(0, 500, (512, 6))
user = torch.randint(0, 50, (512,))
y = ((words < 250).sum(1) > 3).long()
net = Bag()
sparse = torch.optim.SparseAdam([net.words.weight, net.user.weight], lr=1e-2)
dense = torch.optim.Adam(net.head.parameters(), lr=1e-2)
losses = []
for epoch in range(12):
    for i in range(0, 512, 64):
        loss = nn.functional.cross_entropy(net(words[i : i + 64], user[i : i + 64]), y[i : i + 64])
        sparse.zero_grad()
        dense.zero_grad()
        loss.backward()
        sparse.step()
        dense.step()
        losses.append(loss.item())
fingerprint(losses, net)
