"""Two optimizers of the user's own: Lion as a subclass of Optimizer, SAM wrapping another and stepping twice."""
import torch
from torch import nn
from torch.optim import Optimizer

from fingerprint import fingerprint


class Lion(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_((m * b1 + p.grad * (1 - b1)).sign_(), alpha=-group["lr"])
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class SAM(Optimizer):
    def __init__(self, params, base, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base = base(self.param_groups, **kwargs)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def climb(self):
        norm = torch.norm(torch.stack([p.grad.norm() for g in self.param_groups for p in g["params"]]))
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["e"] = p.grad * (group["rho"] / (norm + 1e-12))
                p.add_(self.state[p]["e"])

    @torch.no_grad()
    def step(self, closure=None):
        closure = torch.enable_grad()(closure)
        self.climb()
        self.zero_grad()
        closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(self.state[p]["e"])
        self.base.step()


def data():
    x = torch.randn(128, 6)
    return x, (x[:, :1] * 2).tanh()


torch.manual_seed(13)
losses = []
lion_net = nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 1))
lion = Lion(lion_net.parameters(), lr=2e-3, weight_decay=0.01)
x, y = data()
for _ in range(100):
    loss = nn.functional.mse_loss(lion_net(x), y)
    lion.zero_grad()
    loss.backward()
    lion.step()
    losses.append(loss.item())

sam_net = nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 1))
sam = SAM(sam_net.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
for _ in range(100):

    def closure():
        loss = nn.functional.mse_loss(sam_net(x), y)
        loss.backward()
        return loss

    loss = closure()
    sam.step(closure)
    sam.zero_grad()
    losses.append(loss.item())
fingerprint(losses, lion_net, sam_net)
