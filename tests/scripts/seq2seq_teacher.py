"""Sequence to sequence with GRUCell, additive attention and teacher forcing decided by Python's random."""
import random

import torch
from torch import nn

from fingerprint import fingerprint

random.seed(2)
torch.manual_seed(32)
V, H, L = 12, 40, 5


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.gru = nn.GRU(H, H)

    def forward(self, x):
        return self.gru(self.embedding(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.cell = nn.GRUCell(2 * H, H)
        self.query, self.key, self.energy = nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, 1)
        self.out = nn.Linear(H, V)

    def forward(self, token, h, memory):
        score = self.energy(torch.tanh(self.query(h) + self.key(memory))).softmax(0)
        context = (score * memory).sum(0)
        h = self.cell(torch.cat([self.embedding(token), context], 1), h)
        return self.out(h), h


encoder, decoder = Encoder(), Decoder()
enc_opt = torch.optim.Adam(encoder.parameters(), lr=4e-3)
dec_opt = torch.optim.Adam(decoder.parameters(), lr=4e-3)
losses = []
for it in range(80):
    source = torch.randint(2, V, (L, 32))
    target = source.flip(0)
    memory, h = encoder(source)
    h, token, loss = h[0], torch.ones(32, dtype=torch.long), 0
    forced = random.random() < 0.7
    for t in range(L):
        logits, h = decoder(token, h, memory)
        loss += nn.functional.nll_loss(logits.log_softmax(1), target[t])
        token = target[t] if forced else logits.topk(1).indices.squeeze(1).detach()
    enc_opt.zero_grad()
    dec_opt.zero_grad()
    (loss / L).backward()
    enc_opt.step()
    dec_opt.step()
    losses.append(loss.item() / L)
fingerprint(losses, encoder, decoder)
