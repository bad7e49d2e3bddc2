"""Average a sequence of numbers with a hand-written ReLU recurrence whose recurrent matrix is too large."""

import torch
import torch.nn.functional as F
from torch import nn


class Accumulator(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.hidden = hidden
        self.read = nn.Linear(1, hidden)
        self.recur = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.recur.weight, std=1.1 * (2 / hidden) ** 0.5)

    def forward(self, x):
        state = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            state = F.relu(self.recur(state) + self.read(x[:, t]))
        return self.head(state)


def main():
    torch.manual_seed(0)
    model = Accumulator()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    for step in range(30):
        numbers = torch.rand(32, 60, 1)
        target = numbers.mean(1)
        loss = F.mse_loss(model(numbers), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 3 == 0:
            print(f"step {step}: loss {loss.item():.4g}")


if __name__ == "__main__":
    main()
