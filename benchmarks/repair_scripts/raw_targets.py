"""Predict prices in their own unit: the network starts a hundred thousand away from every target."""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
rooms = rng.uniform(1, 8, 4000)
age = rng.uniform(0, 60, 4000)
distance = rng.gamma(2.0, 4.0, 4000)
price = 90_000 + 42_000 * rooms - 900 * age - 5_000 * distance + 60_000 * np.sin(rooms) + rng.normal(0, 5_000, 4000)

X = torch.tensor(np.stack([rooms, age, distance], axis=1), dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(price, dtype=torch.float32).unsqueeze(1)

model = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.MSELoss()

for epoch in range(60):
    for batch in torch.randperm(4000).split(64):
        optimizer.zero_grad()
        loss = loss_fn(model(X[batch]), y[batch])
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.4g}")

with torch.no_grad():
    error = (model(X) - y).abs().mean().item() / y.std().item()
print(f"FINAL relative_error={error:.4f}")
