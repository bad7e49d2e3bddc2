"""A character model with a learning rate ten times too high."""

import torch
from torch import nn

torch.manual_seed(2)
text = ("the gradient of a function points where it grows fastest, and its length says how fast. " * 40).encode()
symbols = sorted(set(text))
codes = torch.tensor([symbols.index(c) for c in text])


class CharModel(nn.Module):
    def __init__(self, n, width=96):
        super().__init__()
        self.embed = nn.Embedding(n, 32)
        self.gru = nn.GRU(32, width, batch_first=True)
        self.head = nn.Linear(width, n)

    def forward(self, x):
        hidden, _ = self.gru(self.embed(x))
        return self.head(hidden)


model = CharModel(len(symbols))
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
criterion = nn.CrossEntropyLoss()
for step in range(3000):
    start = torch.randint(0, len(codes) - 33, (16,))
    batch = torch.stack([codes[s : s + 33] for s in start])
    optimizer.zero_grad()
    logits = model(batch[:, :-1])
    loss = criterion(logits.reshape(-1, len(symbols)), batch[:, 1:].reshape(-1))
    loss.backward()
    optimizer.step()
    if step % 500 == 0:
        print(step, round(loss.item(), 4))
print(f"FINAL loss={loss.item():.4f}")
