"""A variational auto-encoder: two losses that pull against each other, and a reconstruction that stops halfway."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters
from evengrad.cases._loop import fit


class Vae(nn.Module):
    """Gaussian encoder and decoder."""

    def __init__(self, latent: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU())
        self.mean = nn.Linear(64, latent)
        self.log_variance = nn.Linear(64, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction [B, D] and the divergence from the prior, []."""
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return self.decoder(code), divergence


def train(seed: int) -> float:
    """Train with Adam and return the reconstruction error per feature."""
    torch.manual_seed(seed)
    data = clusters(seed, features=32, spread=0.5)
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def loss_of(step: int) -> Tensor:
        x, _ = data.batch()
        reconstruction, divergence = model(x)
        return 3 * (reconstruction - x).pow(2).sum(1).mean() + divergence  # type: ignore[no-any-return]

    fit(loss_of, optimizer, 300)
    with torch.no_grad():
        return F.mse_loss(model(data.x)[0], data.x).item()


CASE = Case(
    description="variational auto-encoder under Adam",
    run=train,
    threshold=0.4,
    architecture="VAE",
    optimizer="Adam",
)
