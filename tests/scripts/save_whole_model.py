"""torch.save of the model object itself, whose class lives in this script; joblib-style reload, then training goes on."""
import io
import pickle
import sys

import torch
from torch import nn

from fingerprint import fingerprint


class Doubler(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(torch.relu(self.fc(x)))


torch.manual_seed(4)
model = Doubler()
x = torch.randn(64, 4)
y = 2 * x[:, :1]
losses = []


def fit(model, steps):
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        opt.zero_grad()
        loss.backward()
        if step % 10 == 0:
            torch.save(model, io.BytesIO())
        opt.step()
        losses.append(loss.item())
    return opt


opt = fit(model, 50)
buffer = io.BytesIO()
torch.save(model, buffer)
buffer.seek(0)
loaded = torch.load(buffer, weights_only=False)
print(type(loaded) is Doubler, Doubler.__module__, sys.modules["__main__"].Doubler is Doubler)
optimizer_copy = pickle.loads(pickle.dumps(opt))
print(sorted(optimizer_copy.state_dict()), len(pickle.dumps(opt.state_dict())))
print(sorted(model.__dict__), sorted(opt.__dict__))
fit(loaded, 50)
fingerprint(losses, model, loaded)
