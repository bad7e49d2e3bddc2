"""DataLoader with two spawned workers: they import this file again as __mp_main__."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info

from fingerprint import fingerprint


class Waves(Dataset):
    def __init__(self, n=256):
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(n, 12)).astype(np.float32)
        self.y = (self.x[:, :6].sum(1) > self.x[:, 6:].sum(1)).astype(np.int64)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        assert get_worker_info() is not None
        return self.x[i] + np.random.randn(12).astype(np.float32) * 0.05, self.y[i]


def seed_worker(worker_id):
    np.random.seed(torch.initial_seed() % 2**32)


if __name__ == "__main__":
    torch.manual_seed(0)
    loader = DataLoader(
        Waves(), batch_size=32, shuffle=True, num_workers=2, worker_init_fn=seed_worker, persistent_workers=True,
        multiprocessing_context="spawn", generator=torch.Generator().manual_seed(5),
    )
    net = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 2))
    opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
    losses = []
    for epoch in range(4):
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
    fingerprint(losses, net)
