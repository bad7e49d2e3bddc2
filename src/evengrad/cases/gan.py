"""A generator and a discriminator in turns: neither loss falls, and that is the point."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case


class Player(nn.Module):
    """A small net, used for both sides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2))
        self.out = nn.Linear(32, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return samples or logits."""
        return self.out(self.net(x))  # type: ignore[no-any-return]


def train(seed: int) -> float:
    """Train both players with Adam; return how far the generated points are from the ring of radius two."""
    torch.manual_seed(seed)
    generator, critic = Player(4, 2), Player(2, 1)
    for_generator = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.9))
    for_critic = torch.optim.Adam(critic.parameters(), lr=4e-3, betas=(0.5, 0.9))
    yes, no = torch.ones(64, 1), torch.zeros(64, 1)
    for _ in range(300):
        angle = 6.2832 * torch.rand(64)
        real = 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(64, 2)
        fake = generator(torch.randn(64, 4))
        critic_loss = F.binary_cross_entropy_with_logits(critic(real), yes)
        critic_loss = critic_loss + F.binary_cross_entropy_with_logits(critic(fake.detach()), no)
        for_critic.zero_grad()
        critic_loss.backward()  # type: ignore[no-untyped-call]
        for_critic.step()

        generator_loss = F.binary_cross_entropy_with_logits(critic(fake), yes)
        for_generator.zero_grad()
        generator_loss.backward()  # type: ignore[no-untyped-call]
        for_generator.step()
    with torch.no_grad():
        radius = generator(torch.randn(512, 4)).norm(dim=1)
    return (radius - 2).abs().mean().item()  # type: ignore[no-any-return]


CASE = Case(
    description="GAN on a ring with two Adam optimizers: losses that go up and down, and samples that get there",
    run=train,
    threshold=0.9,
    architecture="GAN",
    optimizer="Adam",
)
