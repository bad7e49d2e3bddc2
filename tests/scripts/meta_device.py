"""Deferred initialisation on the meta device, to_empty, set_default_device, lazy modules, skip_init."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(21)
with torch.device("meta"):
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    shape = net(torch.randn(3, 6)).shape
print(shape, next(net.parameters()).device)
net.to_empty(device="cpu")
for m in net:
    if isinstance(m, nn.Linear):
        m.reset_parameters()
torch.set_default_device("cpu")
head = nn.LazyLinear(1)
model = nn.Sequential(net, head)
skipped = torch.nn.utils.skip_init(nn.Linear, 2, 2)
nn.init.eye_(skipped.weight)
x = torch.randn(128, 6)
y = x.max(1, keepdim=True).values
model(x)
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for _ in range(120):
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, model, skipped.weight)
