"""Checkpoints with model, optimizer, scheduler and random state; training goes on in new objects."""
import os
import tempfile

import torch
from torch import nn

from fingerprint import fingerprint


def build():
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 1))
    opt = torch.optim.AdamW(net.parameters(), lr=1e-2)
    return net, opt, torch.optim.lr_scheduler.StepLR(opt, 20, gamma=0.7)


def train(net, opt, sched, x, y, steps):
    for _ in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        yield loss.item()


torch.manual_seed(3)
x = torch.randn(128, 6)
y = x[:, :1] - x[:, 1:2]
parts = build()
losses = list(train(*parts, x, y, 60))
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pt")
    torch.save({"parts": [p.state_dict() for p in parts], "rng": torch.get_rng_state(), "losses": losses}, path)
    print("bytes", os.path.getsize(path) > 0)
    del parts
    torch.manual_seed(99)
    parts = build()
    saved = torch.load(path, weights_only=True)
for part, state in zip(parts, saved["parts"]):
    part.load_state_dict(state)
torch.set_rng_state(saved["rng"])
losses += train(*parts, x, y, 60)
fingerprint(losses, parts[0])
