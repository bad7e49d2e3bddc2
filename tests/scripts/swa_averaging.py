"""AveragedModel and SWALR from torch.optim.swa_utils, batch-norm statistics updated at the end."""
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

from fingerprint import fingerprint

torch.manual_seed(38)
net = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
swa = AveragedModel(net)
ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
cosine, flat = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 10), SWALR(opt, swa_lr=0.02, anneal_epochs=2)
x = torch.randn(256, 10)
y = (x @ torch.randn(10, 3)).argmax(1)
losses = []
for epoch in range(15):
    for xb, yb in zip(x.split(64), y.split(64)):
        loss = nn.functional.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update_parameters(net)
        losses.append(loss.item())
    if epoch >= 10:
        swa.update_parameters(net)
        flat.step()
    else:
        cosine.step()
update_bn(x.split(64), swa)
fingerprint(losses, net, swa, ema)
