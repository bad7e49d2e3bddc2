"""nn.MultiheadAttention on a retrieval task."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(5)


class Retriever(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embed = nn.Linear(6, dim)
        self.attn = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 1)

    def forward(self, items):
        h = self.embed(items)
        q = h[:, :1]
        a, weights = self.attn(q, h, h, need_weights=True)
        return self.out(self.norm(q + a)).squeeze(1), weights


items = torch.randn(256, 8, 6)
target = items[:, 0, :1] + 0.5 * items.mean(1)[:, 1:2]
model = Retriever()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for step in range(100):
    pred, w = model(items)
    loss = nn.functional.mse_loss(pred, target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("attention", repr(w[0, 0].tolist()))
fingerprint(losses, model)
