"""The most common script of all: nn.Sequential on scikit-learn's digits, at module level."""
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_digits

from fingerprint import fingerprint

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32) / 16.0
y = torch.tensor(y)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

losses = []
for epoch in range(6):
    perm = torch.randperm(len(X))
    for i in range(0, len(X), 64):
        idx = perm[i : i + 64]
        optimizer.zero_grad()
        loss = criterion(model(X[idx]), y[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"Epoch {epoch}, Loss: {loss.item():.4f}")
with torch.no_grad():
    print("accuracy", (model(X).argmax(1) == y).float().mean().item())
fingerprint(losses, model)
