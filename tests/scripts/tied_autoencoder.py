"""Autoencoder whose decoder uses the transposed weights of the encoder."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(2)


class TiedAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(30, 8)
        self.bias = nn.Parameter(torch.zeros(30))

    def forward(self, x):
        code = torch.tanh(self.encoder(x))
        return F.linear(code, self.encoder.weight.t(), self.bias)


basis = torch.randn(6, 30) / 2
x = torch.randn(256, 6) @ basis
model = TiedAutoencoder()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(250):
    loss = F.mse_loss(model(x), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, model)
