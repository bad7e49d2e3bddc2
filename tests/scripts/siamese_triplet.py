"""One encoder called three times in a step; triplet loss and a contrastive loss with a learned temperature."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(29)
encoder = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 16))
temperature = nn.Parameter(torch.tensor(1.0))
opt = torch.optim.Adam([*encoder.parameters(), temperature], lr=2e-3)
centres = torch.randn(6, 12)
losses = []
for step in range(100):
    label = torch.randint(0, 6, (48,))
    other = (label + torch.randint(1, 6, (48,))) % 6
    anchor = F.normalize(encoder(centres[label] + 0.4 * torch.randn(48, 12)), dim=1)
    positive = F.normalize(encoder(centres[label] + 0.4 * torch.randn(48, 12)), dim=1)
    negative = F.normalize(encoder(centres[other] + 0.4 * torch.randn(48, 12)), dim=1)
    logits = anchor @ positive.T * temperature.exp()
    loss = F.triplet_margin_loss(anchor, positive, negative, margin=0.5) + 0.1 * F.cross_entropy(logits, torch.arange(48))
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, encoder, temperature)
