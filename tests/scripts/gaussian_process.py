"""Gaussian process hyper-parameters by marginal likelihood: Cholesky, three scalars, double precision."""
import math

import torch

from fingerprint import fingerprint

torch.manual_seed(35)
x = torch.linspace(0, 6, 60, dtype=torch.float64)
y = torch.sin(x) + 0.1 * torch.randn(60, dtype=torch.float64)
log_length, log_signal, log_noise = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(3))
opt = torch.optim.Adam([log_length, log_signal, log_noise], lr=0.05)
losses = []
for _ in range(100):
    opt.zero_grad()
    d2 = (x[:, None] - x[None]).pow(2)
    K = (2 * log_signal).exp() * torch.exp(-0.5 * d2 / (2 * log_length).exp()) + (2 * log_noise).exp() * torch.eye(60)
    L = torch.linalg.cholesky(K)
    alpha = torch.cholesky_solve(y.unsqueeze(1), L)
    loss = 0.5 * (y @ alpha.squeeze()) + L.diagonal().log().sum() + 30 * math.log(2 * math.pi)
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, log_length, log_signal, log_noise)
