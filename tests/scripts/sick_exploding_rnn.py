"""Sick: a ReLU recurrent net with too large recurrent weights over sixty time steps, no clipping."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(62)
rnn = nn.RNN(2, 24, nonlinearity="relu", batch_first=True)
nn.init.orthogonal_(rnn.weight_hh_l0, gain=1.7)
head = nn.Linear(24, 1)
opt = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=1e-3)
x = torch.rand(32, 60, 2)
y = x[:, :, 0].mean(1, keepdim=True)
losses = []
for step in range(30):
    out, _ = rnn(x)
    loss = nn.functional.mse_loss(head(out[:, -1]), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, rnn, head)
