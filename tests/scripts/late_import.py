"""torch is imported late, inside a function, by an absolute import under another name."""
import sys


def main():
    assert "torch" not in sys.modules, "somebody imported torch before the script did"
    assert "numpy" not in sys.modules, "somebody imported numpy before the script did"
    import torch as th
    import torch.nn.functional as fn

    from fingerprint import fingerprint

    th.manual_seed(13)
    w = th.nn.Parameter(th.randn(4, 1) / 2)
    opt = th.optim.SGD([w], lr=0.1)
    x = th.randn(64, 4)
    losses = []
    for _ in range(60):
        loss = fn.mse_loss(x @ w, x[:, :1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    fingerprint(losses, w)


main()
