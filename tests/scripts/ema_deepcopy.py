"""EMA of the weights in a deep copy; a snapshot is copied between forward and backward too."""
import copy
import pickle

import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 1))
ema = copy.deepcopy(model).requires_grad_(False)
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
x = torch.randn(256, 8)
y = x[:, :2].sum(1, keepdim=True).tanh()
losses = []
for step in range(100):
    out = model(x)
    snapshot = copy.deepcopy(model)
    frozen = pickle.loads(pickle.dumps(model))
    loss = nn.functional.mse_loss(out, y)
    opt.zero_grad()
    loss.backward()
    state = copy.deepcopy(opt.state_dict())
    opt.step()
    with torch.no_grad():
        for e, p in zip(ema.parameters(), model.parameters()):
            e.lerp_(p, 0.05)
        losses.append(nn.functional.mse_loss(ema(x), y).item())
fingerprint(losses, model, ema, snapshot, frozen)
