"""Own Module with functional activations, everything inside main()."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint


class Net(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.fc1 = nn.Linear(20, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def train_one_epoch(model, optimizer, x, y, losses):
    for xb, yb in zip(x.split(32), y.split(32)):
        optimizer.zero_grad(set_to_none=False)
        loss = F.mse_loss(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def main():
    torch.manual_seed(1)
    x = torch.randn(512, 20)
    y = (x[:, :3].sum(1, keepdim=True) - x[:, 3:4] * x[:, 4:5]).detach()
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        train_one_epoch(model, optimizer, x, y, losses)
    fingerprint(losses, model)


if __name__ == "__main__":
    main()
