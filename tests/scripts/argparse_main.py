"""Command-line options, a seed for every generator, and nothing kept alive after main()."""
import argparse
import os
import random
import sys

import numpy as np
import torch
from torch import nn

from fingerprint import fingerprint


def parse_args():
    parser = argparse.ArgumentParser(description="toy regression")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("name", nargs="?", default="run")
    return parser.parse_args()


def main():
    args = parse_args()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    print(args, os.path.basename(sys.argv[0]), sys.argv[1:], __name__)
    x = torch.from_numpy(np.random.randn(256, 8)).float()
    y = torch.sin(x.sum(1, keepdim=True) / 3)
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    losses = []
    for epoch in range(args.epochs):
        order = list(range(0, 256, 32))
        random.shuffle(order)
        for i in order:
            noise = torch.from_numpy(np.random.randn(32, 8)).float() * 0.01
            loss = nn.functional.mse_loss(net(x[i : i + 32] + noise), y[i : i + 32])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if args.verbose:
            print(epoch, losses[-1], file=sys.stderr)
    fingerprint(losses, net)
    return 0


if __name__ == "__main__":
    sys.exit(main())
