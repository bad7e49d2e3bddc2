"""Character LSTM with clip_grad_norm_ imported by name."""
import torch
import torch.nn as nn
from torch.nn.utils import clip_grad_norm_

from fingerprint import fingerprint

TEXT = (
    "it was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of "
    "darkness, it was the spring of hope, it was the winter of despair. "
) * 4
chars = sorted(set(TEXT))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in TEXT])
torch.manual_seed(0)


class CharLSTM(nn.Module):
    def __init__(self, vocab, dim=32, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, hidden, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        h, state = self.lstm(self.embed(x), state)
        return self.head(h), state


model = CharLSTM(len(chars))
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(60):
    starts = torch.randint(0, len(data) - 33, (16,)).tolist()
    x = torch.stack([data[s : s + 32] for s in starts])
    y = torch.stack([data[s + 1 : s + 33] for s in starts])
    logits, _ = model(x)
    loss = nn.functional.cross_entropy(logits.reshape(-1, len(chars)), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    norm = clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
    if step % 20 == 0:
        print(step, repr(loss.item()), repr(norm.item()))
fingerprint(losses, model)
