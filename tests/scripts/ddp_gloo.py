"""DistributedDataParallel with one process on gloo, no_sync for accumulation."""
import os
import tempfile

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

from fingerprint import fingerprint

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method="file://" + os.path.join(folder, "store"), rank=0, world_size=1)
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
        ddp = DDP(net)
        opt = torch.optim.SGD(ddp.parameters(), lr=0.1, momentum=0.9)
        x = torch.randn(256, 10)
        y = (x[:, 0] + x[:, 1] > 0).long()
        losses = []
        for step in range(60):
            opt.zero_grad()
            with ddp.no_sync():
                (nn.functional.cross_entropy(ddp(x[:128]), y[:128]) / 2).backward()
            loss = nn.functional.cross_entropy(ddp(x[128:]), y[128:]) / 2
            loss.backward()
            opt.step()
            losses.append(loss.item())
        dist.barrier()
        dist.destroy_process_group()
        fingerprint(losses, net)
