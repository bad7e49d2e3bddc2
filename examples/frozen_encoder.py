"""Fit two interleaved spirals; the encoder gets no gradient because its output is detached."""

import math

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 32)
        self.fc2 = nn.Linear(32, 8)

    def forward(self, x):
        return torch.tanh(self.fc2(torch.tanh(self.fc1(x))))


class SpiralNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        features = self.encoder(x).detach()  # left over from a debugging session
        return self.head(features).squeeze(1)


def spirals(samples):
    angle = torch.rand(samples) * 2 * math.pi
    side = torch.randint(2, (samples,)).float()
    radius = angle / math.pi * (1 - 2 * side)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(samples, 2), side


def main():
    torch.manual_seed(0)
    x, y = spirals(1000)
    model = SpiralNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.BCEWithLogitsLoss()

    for epoch in range(200):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (epoch + 1) % 25 == 0:
            print(f"epoch {epoch + 1}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
