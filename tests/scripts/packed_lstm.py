"""Sequences of different length in a PackedSequence."""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from fingerprint import fingerprint

torch.manual_seed(4)
sequences = [torch.randn(int(n), 4) for n in torch.randint(3, 12, (96,))]
targets = torch.stack([s.mean(0)[:1] + s[-1, 1:2] for s in sequences])


class Summer(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 32)
        self.fc = nn.Linear(32, 1)

    def forward(self, padded, lengths):
        packed = pack_padded_sequence(padded, lengths, enforce_sorted=False)
        out, (h, c) = self.lstm(packed)
        out, sizes = pad_packed_sequence(out)
        return self.fc(h[-1] + 0.1 * out.mean(0))


net = Summer()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
losses = []
for epoch in range(15):
    for i in range(0, 96, 32):
        batch = sequences[i : i + 32]
        lengths = torch.tensor([len(s) for s in batch])
        pred = net(pad_sequence(batch), lengths)
        loss = nn.functional.smooth_l1_loss(pred, targets[i : i + 32])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, net)
