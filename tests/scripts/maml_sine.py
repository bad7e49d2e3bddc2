"""MAML: second-order meta-learning through inner steps (create_graph=True)."""
import torch
import torch.nn.functional as F

from fingerprint import fingerprint

torch.manual_seed(20)


def net(p, x):
    h = torch.tanh(F.linear(x, p[0], p[1]))
    h = torch.tanh(F.linear(h, p[2], p[3]))
    return F.linear(h, p[4], p[5])


shapes = [(24, 1), (24,), (24, 24), (24,), (1, 24), (1,)]
meta = [(torch.randn(s) * (1.0 / (s[-1] if len(s) > 1 else 1e9)) ** 0.5).requires_grad_() for s in shapes]
opt = torch.optim.Adam(meta, lr=3e-3)
losses = []
for it in range(60):
    outer = 0.0
    for _ in range(4):
        amp, phase = torch.rand(()) * 2 + 0.5, torch.rand(()) * 3
        xs = torch.rand(20, 1) * 6 - 3
        ys = amp * torch.sin(xs + phase)
        fast = meta
        for _ in range(2):
            inner = F.mse_loss(net(fast, xs[:10]), ys[:10])
            grads = torch.autograd.grad(inner, fast, create_graph=True)
            fast = [w - 0.05 * g for w, g in zip(fast, grads)]
        outer = outer + F.mse_loss(net(fast, xs[10:]), ys[10:])
    opt.zero_grad()
    outer.backward()
    opt.step()
    losses.append(outer.item() / 4)
fingerprint(losses, meta)
