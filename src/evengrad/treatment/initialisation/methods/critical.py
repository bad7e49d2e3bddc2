"""Weights and biases at the edge of chaos of the activations that are really there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from evengrad.theory.averages import moments
from evengrad.treatment.initialisation.layers import Kind, Layer
from evengrad.treatment.initialisation.methods._base import AbstractMethod, Distribution, Recipe, Request
from evengrad.treatment.initialisation.methods._points import bias_variance_of, critical_point, variances_after
from evengrad.treatment.initialisation.neighbourhood import Neighbourhood, Side


@dataclass(frozen=True)
class Critical(AbstractMethod):
    """Keeps the mean square of the gradient through every layer and the activation it reads, and that of the signal.

    A layer's weights make up for the activation between the layer below and itself: variance 1 / (fan_in E phi'^2).
    Biases make up the rest of the signal's variance. A layer that reads data, a normalisation or a sum has no
    activation to make up for. A head gives outputs of mean square 1 at most. The last layer of each of L residual
    branches on one stream is scaled by 1 / sqrt(L).

    Source:
        Poole et al., NeurIPS 2016; Schoenholz et al., ICLR 2017; for branches Zhang, Dauphin and Ma, ICLR 2019.
    """

    source: ClassVar[str] = "Schoenholz et al. 2017"

    def recipe(self, layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
        """Return the draw for what stands before and after the layer."""
        if layer.kind is Kind.PROJECTION:
            return Recipe(Distribution.NORMAL, 1.0, layer.fan_in, why="query, key and value: gain 1 each")
        if request.gain is not None:
            return Recipe(Distribution.NORMAL, request.gain, layer.fan_in, why="gain as given")
        base = _head(layer, around, request) if around.is_head else _hidden(layer, around, request)
        return scaled_for_branch(base, around)


def _hidden(layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
    # A branch is short and joins a stream: biases would add noise there without keeping anything.
    has_bias = bool(layer.bias) and around.branch is None
    target, bias_variance = bias_variance_of(around.feeds)
    if around.reads is None:
        square, words = _read(around)
        own_bias = bias_variance if has_bias else 0.0
        weight = (target - own_bias) / square
        return Recipe(
            Distribution.NORMAL, math.sqrt(weight), layer.fan_in, math.sqrt(own_bias), weight * square + own_bias, words
        )
    point = critical_point(around.reads)
    found = variances_after(around.reads, request.source_q, target, bias=has_bias)
    words = point.why or f"critical for {around.reads.label}"
    if point.centred and not has_bias and around.branch is None:
        words += "; without a bias the variance drifts with depth"
    if not around.known:
        words = f"assumed: {words}"
    return Recipe(
        _distribution(centred=point.centred), math.sqrt(found.weight), layer.fan_in, math.sqrt(found.bias), found.q,
        words,
    )  # fmt: skip


def _head(layer: Layer, around: Neighbourhood, request: Request) -> Recipe:
    if around.reads is None:
        square, words = _read(around)
        gain = 1 / math.sqrt(square) if around.before is Side.DATA else 1.0
        return Recipe(Distribution.NORMAL, gain, layer.fan_in, why=f"output head: gain 1; {words}")
    m = moments(around.reads, request.source_q)
    centred = critical_point(around.reads).centred
    square = max(1.0, m.variance if centred else m.square)
    return Recipe(
        _distribution(centred=centred), 1 / math.sqrt(square), layer.fan_in,
        why="output head: gain 1" if square == 1.0 else "output head: outputs of mean square 1",
    )  # fmt: skip


def _read(around: Neighbourhood) -> tuple[float, str]:
    """Return the mean square of what a layer reads when that is no activation, and words for it."""
    match around.before:
        case Side.DATA if around.input_square is not None and around.input_square > 0:
            return around.input_square, f"reads data of rms {math.sqrt(around.input_square):.3g}"
        case Side.DATA:
            return 1.0, "reads data, taken to be of rms 1"
        case Side.OPAQUE:
            return 1.0, "reads a function that theory has no picture of, taken to give rms 1"
        case _:
            return 1.0, f"reads {_WORDS[around.before]}"


_WORDS = {
    Side.NORMALISATION: "a normalisation",
    Side.LAYER: "a layer, no activation between",
    Side.STREAM: "a sum of branches",
    Side.PRODUCT: "a product",
    Side.ATTENTION: "attention",
    Side.OUTPUT: "an output",
    Side.ACTIVATION: "an activation",
}


def _distribution(*, centred: bool) -> Distribution:
    return Distribution.CENTRED if centred else Distribution.NORMAL


def scaled_for_branch(recipe: Recipe, around: Neighbourhood) -> Recipe:
    """Return the recipe with the last layer of a residual branch scaled by 1 / sqrt(number of branches).

    Source:
        Radford et al., GPT-2, 2019, section 2.3; De and Smith, NeurIPS 2020.
    """
    branch = around.branch
    if branch is None or not branch.ends:
        return recipe
    if branch.normalised:
        return replace(recipe, bias_std=0.0, why=f"{recipe.why}; ends a branch that is normalised, so not scaled")
    if branch.count == 1:
        return replace(recipe, bias_std=0.0)
    why = f"{recipe.why}; ends 1 of {branch.count} branches: x 1/sqrt({branch.count})"
    return replace(recipe, gain=recipe.gain / math.sqrt(branch.count), bias_std=0.0, why=why)


METHOD = Critical()
