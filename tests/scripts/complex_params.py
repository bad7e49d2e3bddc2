"""Complex parameters: a learned filter in Fourier space and a complex linear map."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(5)


class SpectralFilter(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n // 2 + 1, dtype=torch.cfloat) * 0.1 + 1)
        self.mix = nn.Linear(n, n, dtype=torch.cfloat)

    def forward(self, x):
        y = torch.fft.irfft(torch.fft.rfft(x) * self.weight, n=x.shape[-1])
        return y + self.mix(x.to(torch.cfloat)).abs() * 0.1


x = torch.randn(128, 32)
y = torch.roll(x, 1, dims=-1) * 0.5 + x * 0.5
net = SpectralFilter(32)
opt = torch.optim.Adam(net.parameters(), lr=2e-2)
losses = []
for step in range(150):
    loss = (net(x) - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
