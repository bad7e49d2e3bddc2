"""REINFORCE on a corridor: the loss is no measure of progress and may well rise."""
import random

import torch
from torch import nn
from torch.distributions import Categorical

from fingerprint import fingerprint

torch.manual_seed(0)
random.seed(0)


class Corridor:
    def reset(self):
        self.position, self.goal, self.t = 0, random.choice([-3, 3]), 0
        return self.observe()

    def observe(self):
        return torch.tensor([self.position / 3.0, 1.0 if self.goal > 0 else -1.0])

    def step(self, action):
        self.position += 1 if action == 1 else -1
        self.t += 1
        done = abs(self.position) >= 3 or self.t >= 12
        reward = 1.0 if self.position == self.goal else (-1.0 if done else -0.05)
        return self.observe(), reward, done


policy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(policy.parameters(), lr=1e-2)
env, losses, returns = Corridor(), [], []
for episode in range(120):
    obs, done, log_probs, rewards = env.reset(), False, [], []
    while not done:
        dist = Categorical(logits=policy(obs))
        action = dist.sample()
        log_probs.append(dist.log_prob(action))
        obs, reward, done = env.step(action.item())
        rewards.append(reward)
    returns.append(sum(rewards))
    g, targets = 0.0, []
    for r in reversed(rewards):
        g = r + 0.98 * g
        targets.insert(0, g)
    loss = torch.stack([-lp * t for lp, t in zip(log_probs, targets)]).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("returns", sum(returns[:30]) / 30, sum(returns[-30:]) / 30)
fingerprint(losses, policy)
