"""nn.RNN predicting the next value of a sine wave."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(2)


class SineRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h)


phase = torch.rand(64, 1) * 2 * math.pi
t = torch.arange(31) * 0.3
wave = torch.sin(t + phase).unsqueeze(-1)
model = SineRNN()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(120):
    optimizer.zero_grad()
    loss = ((model(wave[:, :-1]) - wave[:, 1:]) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
fingerprint(losses, model)
