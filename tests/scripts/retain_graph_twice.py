"""Two losses on one graph: backward(retain_graph=True), backward(inputs=…), autograd.backward with many roots."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(10)
trunk = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
left, right = nn.Linear(32, 1), nn.Linear(32, 1)
opt = torch.optim.SGD([*trunk.parameters(), *left.parameters(), *right.parameters()], lr=0.05, momentum=0.5)
x = torch.randn(128, 8)
a, b = x[:, :1], x[:, 1:2].abs()
losses = []
for step in range(150):
    opt.zero_grad()
    h = trunk(x)
    loss_a = nn.functional.mse_loss(left(h), a)
    loss_b = nn.functional.l1_loss(right(h), b)
    if step % 3 == 0:
        loss_a.backward(retain_graph=True)
        loss_b.backward()
    elif step % 3 == 1:
        torch.autograd.backward([loss_a, loss_b], [torch.tensor(1.0), torch.tensor(1.0)])
    else:
        loss_a.backward(retain_graph=True, inputs=list(left.parameters()))
        (loss_a + loss_b).backward(inputs=[*trunk.parameters(), *right.parameters()])
    opt.step()
    losses += [loss_a.item(), loss_b.item()]
fingerprint(losses, trunk, left, right)
