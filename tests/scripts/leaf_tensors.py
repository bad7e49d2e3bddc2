"""No nn.Module at all: leaf tensors, operators, SGD; then a fit of five scalars with Adam."""
import torch

from fingerprint import fingerprint

torch.manual_seed(25)
W1 = (torch.randn(5, 32) / 5**0.5).requires_grad_()
b1 = torch.zeros(32, requires_grad=True)
W2 = (torch.randn(32, 1) / 32**0.5).requires_grad_()
x = torch.randn(128, 5)
y = (x[:, :1] * x[:, 1:2]).tanh()
opt = torch.optim.SGD([W1, b1, W2], lr=0.1, momentum=0.9)
losses = []
for _ in range(150):
    loss = ((x @ W1 + b1).clamp(min=0) @ W2 - y).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())

amp, freq, phase, offset, decay = (torch.tensor(v, requires_grad=True) for v in (0.5, 1.8, 0.2, 0.0, 0.1))
t = torch.linspace(0, 4, 80)
signal = 1.2 * torch.exp(-0.3 * t) * torch.sin(2.0 * t + 0.5) + 0.1
adam = torch.optim.Adam([amp, freq, phase, offset, decay], lr=0.02)
for _ in range(150):
    loss = (amp * torch.exp(-decay * t) * torch.sin(freq * t + phase) + offset - signal).pow(2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    losses.append(loss.item())
fingerprint(losses, W1, b1, W2, amp, freq, phase, offset, decay)
