"""Every warning is an error, deterministic algorithms only, float matmul settings; a warning of ours would end it."""
import warnings

warnings.simplefilter("error")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from fingerprint import fingerprint  # noqa: E402

torch.use_deterministic_algorithms(True)
torch.set_float32_matmul_precision("high")
torch.manual_seed(45)
net = nn.Sequential(nn.Conv1d(2, 8, 3), nn.ReLU(), nn.Conv1d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6, 1))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 80)
x = torch.randn(96, 2, 10)
y = x[:, 0].max(1, keepdim=True).values
losses = []
for _ in range(80):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    losses.append(loss.item())
fingerprint(losses, net)
