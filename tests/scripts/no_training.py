"""Inference only: no optimizer, no backward."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(12)
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval()
with torch.inference_mode():
    outputs = [net(torch.randn(4, 3, 16, 16)).sum() for _ in range(5)]
fingerprint(outputs, net)
