"""One script, five schedulers: OneCycle, cosine with restarts, plateau, MultiStep and a chain with warm-up."""
import torch
from torch import nn
from torch.optim import lr_scheduler as S

from fingerprint import fingerprint


def run(make, plateau=False):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    sched = make(opt)
    x = torch.randn(128, 10)
    y = x[:, :1] - 0.5 * x[:, 1:2].abs()
    losses, rates = [], []
    for _ in range(60):
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step(loss.item()) if plateau else sched.step()
        losses.append(loss.item())
        rates.append(opt.param_groups[0]["lr"])
    print(type(sched).__name__, repr(rates[::15]), sched.get_last_lr())
    return losses, net


all_losses, nets = [], []
for make, plateau in [
    (lambda o: S.OneCycleLR(o, max_lr=0.1, total_steps=60), False),
    (lambda o: S.CosineAnnealingWarmRestarts(o, T_0=20), False),
    (lambda o: S.ReduceLROnPlateau(o, patience=3), True),
    (lambda o: S.MultiStepLR(o, [30, 45], gamma=0.1), False),
    (lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=10), S.ExponentialLR(o, 0.97)], milestones=[10]), False),
]:
    losses, net = run(make, plateau)
    all_losses += losses
    nets.append(net)
fingerprint(all_losses, nets)
