"""Every way of clipping: by norm (2, inf, one group, foreach off), by value, by hand, per parameter, by a hook."""
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

from fingerprint import fingerprint

torch.manual_seed(19)
net = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
for p in net[4].parameters():
    p.register_hook(lambda g: g.clamp(-1, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
x = torch.randn(128, 10)
y = x[:, :3].sum(1, keepdim=True)
losses, norms = [], []
for step in range(140):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    kind = step % 7
    if kind == 0:
        norms.append(clip_grad_norm_(net.parameters(), 1.0).item())
    elif kind == 1:
        norms.append(clip_grad_norm_(net.parameters(), 0.5, norm_type=float("inf"), error_if_nonfinite=True).item())
    elif kind == 2:
        clip_grad_value_(net.parameters(), 0.1)
    elif kind == 3:
        norms.append(nn.utils.clip_grad_norm_(net[0].weight, max_norm=0.3, foreach=False).item())
    elif kind == 4:
        total = get_total_norm([p.grad for p in net.parameters()])
        clip_grads_with_norm_(net.parameters(), 2.0, total)
    elif kind == 5:
        norm = sum(p.grad.norm() ** 2 for p in net.parameters()) ** 0.5
        if norm > 1:
            for p in net.parameters():
                p.grad.mul_(1 / norm)
    else:
        for p in net.parameters():
            torch.nn.utils.clip_grad_norm_([p], 0.5)
    opt.step()
    losses.append(loss.item())
print("norms", repr(norms[:3]), repr(norms[-3:]))
fingerprint(losses, net)
