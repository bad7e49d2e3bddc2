"""No optimizer: the update is written out under no_grad, as in the first tutorials."""
import torch

from fingerprint import fingerprint

torch.manual_seed(11)
x = torch.linspace(-1, 1, 100).unsqueeze(1)
y = 0.5 * x**3 - x + 0.2
w1 = torch.randn(1, 20, requires_grad=True)
b1 = torch.zeros(20, requires_grad=True)
w2 = (torch.randn(20, 1) / 20**0.5).requires_grad_()
losses = []
for step in range(300):
    loss = (torch.tanh(x @ w1 + b1) @ w2 - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for p in (w1, b1, w2):
            p -= 0.1 * p.grad
            p.grad = None
    losses.append(loss.item())
fingerprint(losses, w1, b1, w2)
