"""weight_norm, spectral_norm and orthogonal parametrizations, the old and the new way."""
import torch
from torch import nn
from torch.nn.utils import parametrizations as P

from fingerprint import fingerprint

torch.manual_seed(3)


class Symmetric(nn.Module):
    def forward(self, w):
        return (w + w.T) / 2


net = nn.Sequential(
    P.weight_norm(nn.Linear(8, 24)),
    nn.Tanh(),
    P.spectral_norm(nn.Linear(24, 24)),
    nn.LeakyReLU(0.1),
    P.orthogonal(nn.Linear(24, 24)),
    nn.LeakyReLU(0.1),
    nn.Linear(24, 24),
    nn.Linear(24, 1),
)
nn.utils.parametrize.register_parametrization(net[6], "weight", Symmetric())
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
x = torch.randn(128, 8)
y = x[:, :1] * x[:, 1:2]
losses = []
for step in range(120):
    with nn.utils.parametrize.cached():
        loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
nn.utils.parametrize.remove_parametrizations(net[6], "weight")
fingerprint(losses, net)
