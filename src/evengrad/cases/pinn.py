"""A physics-informed net: the loss holds a derivative of the output, taken with create_graph."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evengrad.cases._base import Case
from evengrad.cases._loop import fit


def train(seed: int) -> float:
    """Solve u'' = -sin(x) on [0, pi] with u = 0 at both ends; return the largest error against sin(x)."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ends = torch.tensor([[0.0], [torch.pi]])

    def loss_of(step: int) -> Tensor:
        x = (torch.pi * torch.rand(64, 1)).requires_grad_()
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return (bend + torch.sin(x)).pow(2).mean() + 10 * model(ends).pow(2).mean()  # type: ignore[no-any-return]

    fit(loss_of, optimizer, 250)
    x = torch.linspace(0, torch.pi, 50)[:, None]
    with torch.no_grad():
        return F.l1_loss(model(x), torch.sin(x)).item()


CASE = Case(
    description="physics-informed tanh net under Adam, second derivatives with create_graph",
    run=train,
    threshold=0.2,
    architecture="PINN",
    optimizer="Adam",
)
