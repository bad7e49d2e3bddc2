"""LBFGS with strong Wolfe line search: the closure runs many times a step."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(0)
x = torch.linspace(-1, 1, 128).unsqueeze(1)
y = torch.sin(4 * x) + 0.3 * x
model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=10, history_size=10, line_search_fn="strong_wolfe")
losses, calls = [], 0


def closure():
    global calls
    calls += 1
    optimizer.zero_grad()
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    return loss


for step in range(15):
    loss = optimizer.step(closure)
    losses.append(loss.item())
print("closure calls", calls)
fingerprint(losses, model)
