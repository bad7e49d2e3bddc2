"""A2C-like: shared trunk, entropy bonus, detached advantages, PPO-style ratio clipping over two epochs."""
import torch
from torch import nn
from torch.distributions import Normal

from fingerprint import fingerprint

torch.manual_seed(37)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.mu, self.value = nn.Linear(32, 1), nn.Linear(32, 1)
        self.log_std = nn.Parameter(torch.zeros(1) - 0.5)
        nn.init.orthogonal_(self.mu.weight, gain=0.01)

    def forward(self, s):
        h = self.trunk(s)
        return Normal(self.mu(h), self.log_std.exp()), self.value(h).squeeze(-1)


net = ActorCritic()
opt = torch.optim.Adam(net.parameters(), lr=3e-3, eps=1e-5)
losses, rewards = [], []
for it in range(50):
    with torch.no_grad():
        s = torch.randn(128, 3)
        dist, _ = net(s)
        a = dist.sample()
        logp = dist.log_prob(a).sum(-1)
        reward = -(a.squeeze(-1) - s[:, 0]).pow(2).clamp(max=4.0)
    rewards.append(reward.mean().item())
    for _ in range(2):
        dist, value = net(s)
        advantage = (reward - value).detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = (dist.log_prob(a).sum(-1) - logp).exp()
        policy = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        loss = policy + 0.5 * (reward - value).pow(2).mean() - 0.001 * dist.entropy().mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        opt.step()
        losses.append(loss.item())
print("reward", rewards[0], rewards[-1])
fingerprint(losses, net)
