"""A short training script that meets most of what is watched; it ends badly on purpose."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)
torch.set_num_threads(1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.body = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 8), nn.Tanh()
        )
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, _ = self.lstm(x)
        h = h + self.attention(h, h, h)[0]
        z = h.mean(1)
        z = z + checkpoint(self.body, z, use_reentrant=False)
        out: torch.Tensor = self.head(torch.nn.functional.gelu(z))
        return out


net, critic = Net(), nn.Linear(3, 1)
first = torch.optim.AdamW(net.parameters(), lr=5e-3)
second = torch.optim.SGD(critic.parameters(), lr=0.05, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=4)
x, y = torch.randn(16, 5, 4), torch.randint(0, 3, (16,))
for step in range(14):
    loss = nn.functional.cross_entropy(net(x), y)
    first.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(first)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(first)
    scaler.update()

    def closure(step: int = step) -> torch.Tensor:
        second.zero_grad()
        value = critic(net(x).detach()).log().mean() if step > 10 else critic(net(x).detach()).pow(2).mean()
        value.backward()
        return value

    print(step, repr(loss.item()), repr(second.step(closure).item()))
print(
    sum(p.double().sum().item() for p in [*net.parameters(), *critic.parameters()]).hex(), torch.get_rng_state().sum()
)
raise SystemExit(4)
