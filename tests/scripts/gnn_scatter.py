"""Graph convolution with index_add_ over edges, and attention over edges with scatter softmax."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(2)
nodes, edges = 120, 700
src, dst = torch.randint(0, nodes, (2, edges))
labels = torch.randint(0, 3, (nodes,))
kept = (labels[src] == labels[dst]) | (torch.rand(edges) < 0.15)
src, dst = src[kept], dst[kept]
n = len(src)
x = torch.randn(nodes, 8) + nn.functional.one_hot(labels, 8) * 0.8


class GraphConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.own, self.message = nn.Linear(i, o), nn.Linear(i, o, bias=False)

    def forward(self, x):
        out = torch.zeros(nodes, self.own.out_features).index_add(0, dst, self.message(x)[src])
        degree = torch.zeros(nodes).index_add_(0, dst, torch.ones(n)).clamp(min=1)
        return self.own(x) + out / degree.unsqueeze(1)


class GraphAttention(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o)
        self.att = nn.Parameter(torch.randn(2, o) * 0.1)

    def forward(self, x):
        h = self.lin(x)
        score = nn.functional.leaky_relu((h[src] * self.att[0]).sum(1) + (h[dst] * self.att[1]).sum(1), 0.2).exp()
        total = torch.zeros(nodes).scatter_add(0, dst, score).clamp(min=1e-6)
        return h + torch.zeros_like(h).index_add(0, dst, h[src] * (score / total[dst]).unsqueeze(1))


model = nn.Sequential(GraphConv(8, 24), nn.ReLU(), GraphAttention(24, 24), nn.ELU(), GraphConv(24, 3))
opt = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
train = torch.arange(nodes) < 80
losses = []
for epoch in range(80):
    opt.zero_grad()
    loss = nn.functional.cross_entropy(model(x)[train], labels[train])
    loss.backward()
    opt.step()
    losses.append(loss.item())
fingerprint(losses, model)
