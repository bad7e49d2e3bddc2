"""The script sets the environment before it imports torch; it must still count."""
import os

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["MKL_NUM_THREADS"] = "2"
os.environ["PYTHONHASHSEED"] = "0"

import torch  # noqa: E402
from torch import nn  # noqa: E402

from fingerprint import fingerprint  # noqa: E402

print("threads", torch.get_num_threads())
torch.set_num_threads(1)
torch.manual_seed(14)
net = nn.Sequential(nn.Linear(5, 16), nn.Mish(), nn.Linear(16, 1))
opt = torch.optim.NAdam(net.parameters(), lr=1e-2)
x = torch.randn(64, 5)
y = x[:, :1].sigmoid()
losses = []
for _ in range(100):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
