"""Pure torch.func training: no Module.backward, no optimizer object at all (a JAX user's style)."""
import torch
from torch.func import grad_and_value

from fingerprint import fingerprint

torch.manual_seed(2)
params = [torch.randn(6, 32) / 6**0.5, torch.zeros(32), torch.randn(32, 1) / 32**0.5, torch.zeros(1)]
x = torch.randn(256, 6)
y = x[:, :1].sin() + x[:, 1:2]


def predict(p, x):
    return torch.tanh(x @ p[0] + p[1]) @ p[2] + p[3]


step_fn = grad_and_value(lambda p: ((predict(p, x) - y) ** 2).mean())
losses = []
for step in range(200):
    grads, loss = step_fn(params)
    params = [p - 0.1 * g for p, g in zip(params, grads)]
    losses.append(loss.item())
fingerprint(losses, params)
