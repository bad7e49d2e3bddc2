"""Normalise the outputs of layers, before their activation.

Settings:
    kind: ``layer``: ``nn.LayerNorm(out_features)`` behind nn.Linear, ``nn.GroupNorm(1, out_channels)`` behind
        convolutions; ``batch``: ``nn.BatchNorm1d``, or 2d, 3d behind convolutions.

``modules``: the layers; none: every Linear and Conv of the forward pass but the last. In a Sequential the norm becomes
the next element; elsewhere the layer becomes ``nn.Sequential(layer, norm)``, which shifts the names of its
parameters; it is refused where the class uses the layer's own attributes (``self.fc1.weight``). Layers that one call
makes can only change together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, after, around, torch_name
from evengrad.patches._layers import Made, appended, hidden_layers, made, outputs, sequence
from evengrad.patches._names import own_targets
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree

_LAYER = {"Linear": "LayerNorm({outputs})"}
_SEQUENCES = {"Embedding", "MultiheadAttention", "TransformerEncoderLayer", "RNN", "LSTM", "GRU"}
_ATTRIBUTES = ("weight", "bias", "in_features", "out_features", "in_channels", "out_channels", "kernel_size")


@dataclass(frozen=True)
class Normalise(AbstractPatch):
    """Puts a normalisation behind layers."""

    def write(self, job: Job) -> SourceTree:
        """Edit the constructor of each layer."""
        names = list(job.change.modules) or hidden_layers(job)
        action = f"put a {'BatchNorm' if job.change.word('kind') == 'batch' else 'LayerNorm'} behind"
        if not names:
            raise PatchError(f"{action} each layer but the last; no run has told their names")
        edits: list[tuple[Source, Edit]] = []
        for found in made(job, names, action):
            edits += [(found.source, edit) for edit in _normalised(job, found, action)]
        return job.edited(edits)


def _norm(job: Job, found: Made) -> str:
    """Return the norm's constructor, below torch.nn."""
    if job.change.word("kind", "layer") == "batch":
        return "BatchNorm{}d({{outputs}})".format(found.kind[-2] if found.kind[-1] == "d" else "1")
    return _LAYER.get(found.kind, "GroupNorm(1, {outputs})")


def _normalised(job: Job, found: Made, action: str) -> Iterator[Edit]:
    """Yield the edits of one constructor call."""
    source, call = found.source, found.call
    number = outputs(found)
    where = job.where(source, source.line(call))
    if number is None or "Transpose" in found.kind:
        raise PatchError(f"{action} the layer made at {where}")
    sequences = sorted({info.kind for info in job.facts.modules} & _SEQUENCES)
    if job.change.word("kind") == "batch" and found.kind == "Linear" and sequences:
        raise PatchError(
            f"{where} makes a layer of a net with {sequences[0]}, whose outputs are sequences; use a LayerNorm"
        )
    template = _norm(job, found).format(outputs=number)
    name, needed = torch_name(source, f"torch.nn.{template.partition('(')[0]}", call)
    norm = f"{name}({template.partition('(')[2]}"
    yield from needed
    listed = appended(source, call)
    if listed is not None:
        yield after(source, listed[1], [f"{listed[0]}.append({norm})"])
        return
    if sequence(source, call) is not None:
        end = source.outer_end(call)
        yield Edit(end, end, f", {norm}", once=False)
        return
    _refuse_attributes(job, found, action)
    sequential, more = torch_name(source, "torch.nn.Sequential", call)
    yield from more
    yield from around(source, call, call, f"{sequential}(", f", {norm})")


def _refuse_attributes(job: Job, found: Made, action: str) -> None:
    """Raise if the source uses attributes of the layer that a Sequential lacks."""
    source = found.source
    targets = own_targets(source, found.call)
    loops = [loop for loop in source.all(cst.For) if any(target in source.code(loop.iter) for target in targets)]
    names = {*targets, *(source.code(loop.target) for loop in loops)}
    for node in source.all(cst.Attribute):
        if node.attr.value in _ATTRIBUTES and source.code(node.value) in names:
            where = job.where(source, source.line(found.call))
            raise PatchError(
                f"{action} `{found.layers[0].name}` (made at {where}) in forward, as an attribute of its own: "
                f"line {source.line(node)} uses {source.code(node)}"
            )


PATCH = Normalise()
