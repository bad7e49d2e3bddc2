"""The user's own hooks of every kind, beside whatever else watches."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(8)
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
seen = {"fwd": 0, "bwd": 0, "pre": 0, "tensor": 0, "acc": 0, "opt": 0}


def count(key, value=None):
    def hook(*args, **kwargs):
        seen[key] += 1
        return value

    return hook


net[0].register_forward_hook(count("fwd"))
net[2].register_full_backward_hook(count("bwd"))
net[2].register_full_backward_pre_hook(count("pre"))
net[4].register_forward_hook(lambda m, i, o: o * 1.0)
net[0].weight.register_hook(lambda g: (seen.__setitem__("tensor", seen["tensor"] + 1), g * 0.5)[1])
net[2].weight.register_post_accumulate_grad_hook(count("acc"))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
opt.register_step_pre_hook(count("opt"))
opt.register_step_post_hook(count("opt"))
x = torch.randn(64, 6)
y = x[:, :1] * 0.7 + x[:, 1:2].abs()
losses, gradients = [], []
for step in range(120):
    h = net[:2](x)
    h.retain_grad()
    h.register_hook(lambda g: gradients.append(g.norm().item()))
    loss = nn.functional.mse_loss(net[2:](h), y)
    opt.zero_grad()
    loss.backward()
    assert h.grad is not None
    opt.step()
    losses.append(loss.item())
print(seen, repr(gradients[-1]), [len(m._forward_hooks) for m in net])
fingerprint(losses, net)
