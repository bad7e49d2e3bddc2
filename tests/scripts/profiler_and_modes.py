"""The script profiles itself and counts operations: torch.profiler, FlopCounterMode, TorchFunction and Dispatch modes."""
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from fingerprint import fingerprint

torch.manual_seed(43)


class CountFunctions(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


class CountOps(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
x = torch.randn(64, 6)
y = x[:, :1]
losses = []


def forward():
    return nn.functional.mse_loss(net(x), y)


for step in range(60):
    opt.zero_grad()
    if step == 3:
        with CountFunctions() as functions:
            loss = forward()
        loss.backward()
        print("functions", functions.names)
    elif step == 5:
        with CountOps() as ops:
            loss = forward()
            loss.backward()
        print("operations", ops.names)
    elif step == 7:
        with FlopCounterMode(display=False) as flops:
            loss = forward()
            loss.backward()
        print("flops", flops.get_total_flops())
    elif step == 9:
        with profile(activities=[ProfilerActivity.CPU]) as prof:
            with record_function("mine"):
                loss = forward()
            loss.backward()
        print("events", sorted({e.key for e in prof.key_averages() if e.key.startswith(("aten::addmm", "mine"))}))
    else:
        loss = forward()
        loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, net)
