"""Parameters in plain lists, ParameterDict, ParameterList and ModuleDict; attributes set after construction."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(24)


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(8, 16), nn.Linear(16, 16)]
        self.scales = nn.ParameterDict({"a": nn.Parameter(torch.ones(16)), "b.c".replace(".", "_"): nn.Parameter(torch.zeros(16))})
        self.shifts = nn.ParameterList([nn.Parameter(torch.zeros(16)) for _ in range(2)])
        self.heads = nn.ModuleDict({"main": nn.Linear(16, 1)})
        self.register_parameter("absent", None)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def extra(self):
        return [p for layer in self.hidden for p in layer.parameters()]

    def forward(self, x):
        self.seen += 1
        for layer, shift in zip(self.hidden, self.shifts):
            x = torch.sigmoid(layer(x)) * 2 - 1 + shift
        return self.heads["main"](x * self.scales["a"] + self.scales["b_c"])


net = Odd()
opt = torch.optim.Adam([*net.parameters(), *net.extra()], lr=1e-2)
x = torch.randn(96, 8)
y = x[:, :1] - x[:, 2:3]
losses = []
for _ in range(120):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net, net.extra())
