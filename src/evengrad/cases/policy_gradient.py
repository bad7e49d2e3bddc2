"""REINFORCE with a clipped ratio: a loss near zero, of either sign, that says nothing of progress."""

import torch
import torch.nn.functional as F
from torch import nn

from evengrad.cases._base import Case
from evengrad.cases._data import clusters


def train(seed: int) -> float:
    """Train a policy with Adam; return one minus its mean reward."""
    torch.manual_seed(seed)
    data = clusters(seed, classes=4, features=16)
    policy = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(60):
        x, best = data.batch(128)
        with torch.no_grad():
            old = torch.distributions.Categorical(logits=policy(x))
            action = old.sample()  # type: ignore[no-untyped-call]
            reward = (action == best).float()
            advantage = (reward - reward.mean()) / (reward.std() + 1e-6)
        for _ in range(3):
            now = torch.distributions.Categorical(logits=policy(x))
            ratio = (now.log_prob(action) - old.log_prob(action)).exp()  # type: ignore[no-untyped-call]
            gain = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
            loss = -gain - 0.01 * now.entropy().mean()  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()
    with torch.no_grad():
        return 1 - F.softmax(policy(data.x), 1)[torch.arange(len(data.y)), data.y].mean().item()


CASE = Case(
    description="clipped policy gradient under Adam: negative losses round zero, and the reward rises",
    run=train,
    threshold=0.2,
    architecture="policy MLP",
    optimizer="Adam",
)
