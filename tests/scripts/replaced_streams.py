"""The script owns its streams: a tee for stdout, an excepthook, atexit handlers, logging to both streams."""
import atexit
import logging
import sys
import warnings

import torch
from torch import nn

from fingerprint import fingerprint


class Tee:
    def __init__(self, stream):
        self.stream, self.lines = stream, 0

    def write(self, text):
        self.lines += text.count("\n")
        return self.stream.write(text.replace("\n", " |\n"))

    def flush(self):
        self.stream.flush()


def excepthook(kind, value, traceback):
    print("my excepthook:", kind.__name__, value)


logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s:%(name)s:%(message)s")
logging.getLogger().setLevel(logging.DEBUG)
warnings.simplefilter("always")
sys.excepthook = excepthook
sys.stdout = Tee(sys.stdout)
atexit.register(lambda: print("goodbye at exit", file=sys.__stdout__))
torch.manual_seed(5)
net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.rand(50, 3)
y = x.prod(1, keepdim=True)
losses = []
for step in range(60):
    loss = (net(x) - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 20 == 0:
        logging.info("step %d loss %r", step, loss.item())
        print("to stderr", step, file=sys.stderr)
warnings.warn("the script's own warning")
fingerprint(losses, net)
print("lines so far", sys.stdout.lines)
raise RuntimeError("seen by the script's own hook")
