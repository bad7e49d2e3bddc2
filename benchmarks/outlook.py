"""Does a plain net train where ``evengrad theory`` expects it to? Six activations, the usual weights, several depths.

Run from the repository's root: ``python -m benchmarks.outlook``. Nets of 100 units on the digits, 300 steps of SGD with
momentum 0.9, the best of four learning rates. "Learned" is an accuracy of 0.9 on the training set, "did not" one below
0.5. The expectation is that of the command line: no width, variance 1 in the first layer.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import nn

from benchmarks._results import Figure, append, share
from benchmarks.papers._digits import best, train
from evengrad.theory import Initialisation, Outlook, as_activation, compare_initialisations

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "selu": nn.SELU,
}
DEPTHS, RATES, WIDTH, STEPS, SEED = (4, 9, 18, 32), (0.3, 0.03, 0.01, 0.003), 100, 300, 0
LEARNED, DID_NOT = 0.9, 0.5


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="one initialisation, for example centred")
    parser.add_argument("--dry", action="store_true", help="do not append to the results file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cells = [cell for name in ACTIVATIONS for depth in DEPTHS for cell in _cells(name, depth, arguments.only)]
    figures = _figures(cells, f", {arguments.only} only" if arguments.only else "")
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f} of {figure.n}")
    if not arguments.dry:
        print(f"appended to {append('outlook.jsonl', figures)}")


def _figures(cells: list[tuple[Outlook, float]], note: str) -> list[Figure]:
    figures = []
    for outlook in Outlook:
        accuracies = [accuracy for expected, accuracy in cells if expected is outlook]
        if not accuracies:
            continue
        learned = sum(accuracy >= LEARNED for accuracy in accuracies)
        did_not = sum(accuracy < DID_NOT for accuracy in accuracies)
        figures.append(share(f"outlook/learned/{outlook.value}{note}", learned, len(accuracies)))
        figures.append(share(f"outlook/did not/{outlook.value}{note}", did_not, len(accuracies)))
    return figures


def _cells(name: str, depth: int, only: str) -> list[tuple[Outlook, float]]:
    """Return what was expected of each initialisation, and the accuracy it came to."""
    cells = []
    for row in compare_initialisations(as_activation(name), depth):
        if only not in ("", row.name):
            continue
        centred = row.name == "centred"
        found = best(
            train(_net(name, depth, row.initialisation, centred=centred), rate=rate, steps=STEPS, seed=SEED)
            for rate in RATES
        )
        print(f"{name} {depth} {row.name}: {row.outlook.value}, {found.accuracy:.3f}", flush=True)
        cells.append((row.outlook, found.accuracy))
    return cells


def _net(name: str, depth: int, initialisation: Initialisation, *, centred: bool) -> nn.Sequential:
    """Return ``depth`` hidden layers, and a last one that is LeCun's."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = []
    for index in range(depth):
        linear = nn.Linear(WIDTH if index else 64, WIDTH)
        nn.init.normal_(linear.weight, std=math.sqrt(initialisation.weight_variance / linear.in_features))
        if centred and index:
            with torch.no_grad():  # rows that sum to 0 do not see the mean of their inputs
                linear.weight -= linear.weight.mean(dim=1, keepdim=True)
        nn.init.normal_(linear.bias, std=math.sqrt(initialisation.bias_variance))
        layers += [linear, ACTIVATIONS[name]()]
    readout = nn.Linear(WIDTH, 10)
    nn.init.normal_(readout.weight, std=WIDTH**-0.5)
    nn.init.zeros_(readout.bias)
    return nn.Sequential(*layers, readout)


if __name__ == "__main__":
    main()
