"""A small convolutional network whose author initialises every weight with unit variance."""

import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def init_weights(module):
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 1.0)
        nn.init.zeros_(module.bias)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def main():
    torch.manual_seed(1)
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(data.target)
    model = build()
    model.apply(init_weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(60):
        order = torch.randperm(1400)
        for start in range(0, 1400, 64):
            index = order[start : start + 64]
            optimizer.zero_grad()
            loss = criterion(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print(epoch, loss.item())
    with torch.no_grad():
        test_loss = criterion(model(x[1400:]), y[1400:]).item()
    print(f"FINAL test_loss={test_loss:.4f}")


if __name__ == "__main__":
    main()
