"""The model, imported relatively."""
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))
