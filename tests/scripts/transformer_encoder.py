"""nn.TransformerEncoder with linear warm-up; masks; class token."""
import torch
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(6)


class Classifier(nn.Module):
    def __init__(self, vocab=12, d=32):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(torch.randn(1, 10, d) * 0.02)
        layer = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(d, 2)

    def forward(self, x):
        mask = x == 0
        h = self.encoder(self.tok(x) + self.pos, src_key_padding_mask=mask)
        return self.head(h.mean(1))


x = torch.randint(1, 12, (256, 10))
x[:, 8:] = 0
y = ((x == 5).sum(1) > (x == 7).sum(1)).long()
model = Classifier()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 10))
losses = []
for epoch in range(8):
    for i in range(0, 256, 64):
        loss = nn.functional.cross_entropy(model(x[i : i + 64]), y[i : i + 64])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
model.eval()
with torch.no_grad():
    print("eval", repr(model(x).sum().item()))
fingerprint(losses, model)
