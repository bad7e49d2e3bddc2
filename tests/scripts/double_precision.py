"""torch.set_default_dtype(float64) for the whole script."""
import numpy as np
import torch
from torch import nn

from fingerprint import fingerprint

torch.set_default_dtype(torch.float64)
torch.manual_seed(6)
np.random.seed(6)
x = torch.from_numpy(np.random.rand(200, 3))
y = torch.exp(-x.pow(2).sum(1, keepdim=True))
net = nn.Sequential(nn.Linear(3, 20), nn.Softplus(), nn.Linear(20, 20), nn.Softplus(), nn.Linear(20, 1))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
losses = []
for step in range(150):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print(loss.dtype, torch.get_default_dtype())
fingerprint(losses, net)
