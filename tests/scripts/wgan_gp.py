"""WGAN with gradient penalty: double backward in the critic, five critic steps to one of the generator."""
import torch
from torch import autograd, nn

from fingerprint import fingerprint

torch.manual_seed(3)
G = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
C = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
opt_c = torch.optim.Adam(C.parameters(), lr=1e-3, betas=(0.0, 0.9))


def penalty(real, fake):
    alpha = torch.rand(real.size(0), 1)
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    score = C(mixed)
    (grad,) = autograd.grad(score, mixed, torch.ones_like(score), create_graph=True, retain_graph=True, only_inputs=True)
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


losses = []
for it in range(30):
    for p in C.parameters():
        p.requires_grad = True
    for _ in range(5):
        real = torch.randn(64, 2) * 0.2 + torch.tensor([1.0, -1.0])
        with torch.no_grad():
            fake = G(torch.randn(64, 4))
        C.zero_grad()
        loss_c = C(fake).mean() - C(real).mean() + 10 * penalty(real, fake)
        loss_c.backward()
        opt_c.step()
    for p in C.parameters():
        p.requires_grad = False
    G.zero_grad()
    loss_g = -C(G(torch.randn(64, 4))).mean()
    loss_g.backward()
    opt_g.step()
    losses += [loss_c.item(), loss_g.item()]
fingerprint(losses, G, C)
