"""Per-sample gradients by vmap(grad), clipped and written to .grad before optimizer.step() (as in private SGD)."""
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from fingerprint import fingerprint

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 24), nn.Tanh(), nn.Linear(24, 3))
opt = torch.optim.SGD(model.parameters(), lr=0.2)
x = torch.randn(192, 10)
y = (x @ torch.randn(10, 3)).argmax(1)


def loss_fn(params, xi, yi):
    logits = functional_call(model, params, (xi.unsqueeze(0),))
    return nn.functional.cross_entropy(logits, yi.unsqueeze(0))


per_sample = vmap(grad(loss_fn), in_dims=(None, 0, 0))
losses = []
for step in range(60):
    params = {k: v.detach() for k, v in model.named_parameters()}
    grads = per_sample(params, x, y)
    norms = torch.sqrt(sum(g.flatten(1).pow(2).sum(1) for g in grads.values()))
    factor = (1.0 / (norms + 1e-6)).clamp(max=1.0)
    for name, p in model.named_parameters():
        g = grads[name]
        p.grad = (g * factor.view(-1, *[1] * (g.dim() - 1))).mean(0)
    opt.step()
    opt.zero_grad()
    with torch.no_grad():
        losses.append(nn.functional.cross_entropy(model(x), y).item())
fingerprint(losses, model)
