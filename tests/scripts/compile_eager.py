"""torch.compile with backend "eager": dynamo traces, nothing is generated."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 1)

    def forward(self, x):
        x = torch.relu(self.a(x))
        if x.shape[0] > 1:
            x = x + torch.tanh(self.b(x))
        return self.c(x)


raw = Net()
net = torch.compile(raw, backend="eager")
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
x = torch.randn(128, 8)
y = x[:, :1] * x[:, 1:2]
losses = []
for step in range(100):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
frames = torch._dynamo.utils.counters["stats"].get("unique_graphs", 0), sum(torch._dynamo.utils.counters["graph_break"].values())
print("graphs, breaks", frames)
fingerprint(losses, raw)
