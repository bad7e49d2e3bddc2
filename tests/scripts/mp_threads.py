"""Threads that train models of their own, and a process pool at the same time."""
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import torch
from torch import nn

from fingerprint import digest, fingerprint

torch.set_num_threads(1)


def train(seed, steps=60):
    gen = torch.Generator().manual_seed(seed)
    w = [torch.randn(4, 16, generator=gen).div_(2).requires_grad_(), torch.randn(16, 1, generator=gen).div_(4).requires_grad_()]
    opt = torch.optim.SGD(w, lr=0.1)
    x = torch.randn(64, 4, generator=gen)
    y = x[:, :1] + x[:, 1:2] ** 2 / 2
    losses = []
    for _ in range(steps):
        loss = (torch.tanh(x @ w[0]) @ w[1] - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses, [p.detach() for p in w]


def in_process(seed):
    return digest(train(seed)[1])


if __name__ == "__main__":
    torch.manual_seed(0)
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(train, range(3)))
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        print(list(pool.map(in_process, [10, 11])))
    late = threading.Thread(target=lambda: results.append(train(5)))
    late.start()
    late.join()
    fingerprint([l for losses, _ in results for l in losses], [w for _, w in results])
