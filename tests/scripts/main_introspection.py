"""The script looks at itself: __file__, argv, __main__, inspect, gc, threads, module globals, patches of its own."""
import gc
import inspect
import os
import sys
import threading

import torch
from torch import nn

from fingerprint import fingerprint

print(__name__, os.path.basename(__file__), os.path.isabs(__file__), os.path.basename(sys.argv[0]), sys.argv[1:])
main = sys.modules["__main__"]
print(main.__dict__ is globals(), main.__spec__, __package__, __doc__[:6], sorted(k for k in globals() if k.startswith("__")))
print(os.path.basename(sys.path[0]), threading.current_thread() is threading.main_thread(), sys.gettrace(), sys.flags.optimize)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)

    def forward(self, x):
        caller = next(f for f in inspect.stack() if os.path.basename(f.filename) == os.path.basename(__file__) and f.function == "<module>")
        assert "net(x)" in caller.code_context[0]
        return self.fc(x)


print(len(inspect.getsource(Net)), inspect.getsourcelines(Net)[1], Net.__module__, Net.__qualname__)
torch.manual_seed(46)
net = Net()
stock = torch.Tensor.backward


def counting_backward(self, *args, **kwargs):
    counting_backward.calls += 1
    return stock(self, *args, **kwargs)


counting_backward.calls = 0
torch.Tensor.backward = counting_backward
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.randn(32, 4)
losses = []
for step in range(40):
    loss = (net(x) - x[:, :1]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
torch.Tensor.backward = stock
gc.collect()
print(counting_backward.calls, torch.Tensor.backward is stock, gc.isenabled(), gc.get_threshold())
print(len(net.fc._forward_hooks), len(net._forward_hooks), net.fc.weight._backward_hooks, sorted(net.__dict__) == sorted(nn.Module().__dict__))
fingerprint(losses, net)
