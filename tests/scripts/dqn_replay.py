"""Deep Q-learning: replay buffer, target net copied now and then, Huber loss, gradients clamped by value."""
import random
from collections import deque

import torch
from torch import nn

from fingerprint import fingerprint

random.seed(1)
torch.manual_seed(1)


def make():
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))


q, target = make(), make()
target.load_state_dict(q.state_dict())
opt = torch.optim.AdamW(q.parameters(), lr=2e-3, amsgrad=True)
memory = deque(maxlen=1000)
state, losses = torch.randn(4), []
for t in range(260):
    if random.random() < max(0.1, 1 - t / 150):
        action = random.randrange(3)
    else:
        with torch.no_grad():
            action = q(state).argmax().item()
    reward = state[action].clamp(-1, 1).item()
    following = torch.randn(4) * 0.5 + 0.3 * state
    memory.append((state, action, reward, following))
    state = following
    if len(memory) < 64:
        continue
    s, a, r, n = zip(*random.sample(memory, 32))
    s, n = torch.stack(s), torch.stack(n)
    with torch.no_grad():
        goal = torch.tensor(r) + 0.5 * target(n).max(1).values
    value = q(s).gather(1, torch.tensor(a).unsqueeze(1)).squeeze(1)
    loss = nn.SmoothL1Loss()(value, goal)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(q.parameters(), 100)
    opt.step()
    losses.append(loss.item())
    if t % 40 == 0:
        target.load_state_dict(q.state_dict())
fingerprint(losses, q, target)
