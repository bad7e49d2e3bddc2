"""Hogwild-style: one model in shared memory, one forked worker trains it while the parent waits (so it stays deterministic)."""
import torch
import torch.multiprocessing as mp
from torch import nn

from fingerprint import fingerprint


def work(model, losses):
    torch.manual_seed(1)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(64, 4)
    for i in range(len(losses)):
        loss = nn.functional.mse_loss(model(x), x[:, :1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses[i] = loss.item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(48)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    model.share_memory()
    losses = torch.zeros(50).share_memory_()
    context = mp.get_context("fork")
    for _ in range(2):
        p = context.Process(target=work, args=(model, losses))
        p.start()
        p.join()
        print("worker", p.exitcode)
    fingerprint(losses, model)
