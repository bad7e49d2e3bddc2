"""torch.multiprocessing.spawn: children import this file again and train; shared memory holds the result."""
import torch
import torch.multiprocessing as mp
from torch import nn

from fingerprint import fingerprint


def worker(rank, result):
    torch.manual_seed(rank)
    net = nn.Linear(4, 1)
    opt = torch.optim.Adam(net.parameters(), lr=0.05)
    x = torch.randn(32, 4)
    for _ in range(40):
        loss = (net(x) - x[:, :1]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    result[rank] = loss.item()


if __name__ == "__main__":
    result = torch.zeros(2).share_memory_()
    mp.spawn(worker, args=(result,), nprocs=2, join=True)
    torch.manual_seed(9)
    net = nn.Linear(4, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(32, 4)
    losses = []
    for _ in range(40):
        loss = (net(x) - x[:, 1:2]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    fingerprint(losses, net, result)
