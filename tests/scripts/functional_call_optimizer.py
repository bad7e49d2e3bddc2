"""functional_call on a dict of leaf tensors that the optimizer holds; value and Jacobian transforms on the side."""
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, jacrev, jvp, vmap

from fingerprint import fingerprint

torch.manual_seed(1)
base = nn.Sequential(nn.Linear(4, 32), nn.Softplus(), nn.Linear(32, 2))
params = {k: v.detach().clone().requires_grad_() for k, v in base.named_parameters()}
opt = torch.optim.Adam(list(params.values()), lr=5e-3)
x = torch.randn(128, 4)
y = torch.stack([x[:, 0] * x[:, 1], x[:, 2].sin()], 1)
losses = []
for step in range(120):
    loss = nn.functional.mse_loss(functional_call(base, params, (x,)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 40 == 0:
        frozen = {k: v.detach() for k, v in params.items()}
        jac = vmap(jacrev(lambda xi: functional_call(base, frozen, (xi,))))(x[:4])
        _, tangent = jvp(lambda xi: functional_call(base, frozen, (xi,)), (x,), (torch.ones_like(x),))
        _, value = grad_and_value(lambda p: functional_call(base, p, (x,)).pow(2).mean())(frozen)
        print(step, repr(jac.norm().item()), repr(tangent.norm().item()), repr(value.item()))
fingerprint(losses, params)
