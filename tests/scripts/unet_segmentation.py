"""A small U-Net: transposed convolution, skip connections by concatenation, group norm, dice and BCE."""
import torch
import torch.nn.functional as F
from torch import nn

from fingerprint import fingerprint

torch.manual_seed(31)


def double(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.SiLU(), nn.Conv2d(o, o, 3, padding=1), nn.GroupNorm(4, o), nn.SiLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.mid = double(1, 8), double(8, 16), double(16, 16)
        self.up2, self.dec2 = nn.ConvTranspose2d(16, 16, 2, stride=2), double(32, 16)
        self.up1, self.dec1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), double(24, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        h = self.mid(F.avg_pool2d(b, 2))
        h = self.dec2(torch.cat([self.up2(h), b], 1))
        h = self.dec1(torch.cat([self.up1(h), a], 1))
        return self.out(h)


ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
cx, cy, r = (torch.rand(3, 96, 1, 1, 1) * torch.tensor([8.0, 8.0, 2.0]).view(3, 1, 1, 1, 1)) + torch.tensor([4.0, 4.0, 2.0]).view(3, 1, 1, 1, 1)
mask = (((xs - cx) ** 2 + (ys - cy) ** 2) < r**2).float()
image = mask + 0.3 * torch.randn(96, 1, 16, 16)
net = UNet()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
losses = []
for epoch in range(8):
    for i in range(0, 96, 24):
        logits, m = net(image[i : i + 24]), mask[i : i + 24]
        p = logits.sigmoid()
        dice = 1 - (2 * (p * m).sum() + 1) / (p.sum() + m.sum() + 1)
        loss = F.binary_cross_entropy_with_logits(logits, m) + dice
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
fingerprint(losses, net)
