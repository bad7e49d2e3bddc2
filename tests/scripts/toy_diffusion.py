"""Denoising diffusion on two moons with sinusoidal time embedding; sampling at the end."""
import math

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(28)
T = 50
betas = torch.linspace(1e-4, 0.05, T)
alpha_bar = torch.cumprod(1 - betas, 0)


class Denoiser(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.freq = torch.exp(-math.log(1000) * torch.arange(8) / 8)
        self.net = nn.Sequential(nn.Linear(2 + 16, d), nn.GELU(), nn.Linear(d, d), nn.GELU(), nn.Linear(d, 2))

    def forward(self, x, t):
        a = t[:, None].float() * self.freq
        return self.net(torch.cat([x, a.sin(), a.cos()], 1))


angle = torch.rand(512) * math.pi
moon = torch.stack([angle.cos(), angle.sin()], 1)
moon[256:] = torch.tensor([1.0, 0.5]) - moon[256:]
model = Denoiser()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
losses = []
for step in range(200):
    x0 = moon[torch.randint(0, 512, (64,))]
    t = torch.randint(0, T, (64,))
    noise = torch.randn_like(x0)
    xt = alpha_bar[t].sqrt()[:, None] * x0 + (1 - alpha_bar[t]).sqrt()[:, None] * noise
    loss = nn.functional.mse_loss(model(xt, t), noise)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
with torch.no_grad():
    x = torch.randn(8, 2)
    for i in reversed(range(T)):
        eps = model(x, torch.full((8,), i))
        x = (x - betas[i] / (1 - alpha_bar[i]).sqrt() * eps) / (1 - betas[i]).sqrt()
        x = x + betas[i].sqrt() * torch.randn_like(x) * (i > 0)
fingerprint(losses, model, x)
