"""Draw the weights anew, right before the optimizer is made.

Settings:
    method: which distribution, drawn for the layers in the order of ``model.modules()``; every bias is set to 0:

        - ``xavier``: ``nn.init.xavier_uniform_(weight, gain=gain)``; gain 1 unless given.
        - ``he``: ``nn.init.kaiming_normal_(weight, nonlinearity="relu")``, or ``a=slope, nonlinearity="leaky_relu"``.
        - ``lecun``: ``nn.init.kaiming_normal_(weight, nonlinearity="linear")``.
        - ``orthogonal``: ``nn.init.orthogonal_(weight, gain=gain)``; gain 1 unless given.
        - ``delta-orthogonal``: convolutions are 0 but for the centre tap, which is orthogonal (it needs
          out_channels >= in_channels); other layers as ``orthogonal``.
        - ``critical``: ``nn.init.normal_(weight, std=gain / sqrt(fan_in))``, biases ``normal_(std=bias)`` if
          ``bias`` > 0.
        - ``lsuv``: ``orthogonal``, then, on the first batch and in the order of the forward pass, each weight is
          divided by the standard deviation of its layer's output until that is 1 (within ``tolerance``, at most 10
          times). Without a batch that is sure to be the model's input it is refused.
        - ``data-dependent``: the script's own weights stay, but each unit's are divided by the standard deviation of
          its output on that batch, and its bias is shifted so that the mean is 0. It needs the batch as well.
        - ``recurrent``: recurrent matrices (``weight_hh*`` of nn.RNN, LSTM, GRU and their cells, per gate; or the
          layers that ``modules`` names) by ``nn.init.orthogonal_(gain=gain)``; ``weight_ih*`` by
          ``xavier_uniform_(gain=input_gain)``.
        - ``forget-bias``: forget gates of LSTMs, and update gates of GRUs, get ``bias`` (1 unless given) in all:
          ``bias_ih`` has it, ``bias_hh`` 0. Weights stay.
        - ``residual``: the weights of ``modules`` (the last layer of each residual branch) are multiplied by ``gain``
          (0 unless given, which is written as ``nn.init.zeros_``; their biases too).
        - ``bias``: the biases of ``modules`` are set to ``bias`` (0 unless given); weights stay.
    gain: factor on the standard deviation, "1".
    input_gain: of ``recurrent``, factor on the input matrices, "1"; 1 unless given.
    slope: negative slope of the leaky ReLU that ``he`` is for, "1".
    bias: standard deviation of biases (``critical``), or their value (``forget-bias``, ``bias``), in h.
    tolerance: of ``lsuv``, "1"; 0.1 unless given.
    replace: True when the script's own initialisation is to be rewritten in place, at ``lines`` or wherever the tree
        has it, rather than overwritten later.

``parameters``, where no modules are named: single weights to be drawn, biases left. ``modules``: layers to be drawn;
none: every nn.Linear and nn.Conv*d of the model (recurrent layers for ``recurrent`` and ``forget-bias``). ``lines``:
    lines of the script's own initialisation; the call there is rewritten in place,
whatever ``replace`` says, if it is one.

The draws come from torch's global generator immediately before the statement that makes the optimizer, so that a live
initialisation at that moment draws the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from evengrad.errors import PatchError
from evengrad.patches._address import expression, for_each, root_of
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._edit import Edit, before, torch_name
from evengrad.patches._first_batch import on_first_batch
from evengrad.patches._init_calls import in_place
from evengrad.patches._init_lines import RECURRENT, WEIGHTED, Draw, all_biased, draw_of, isinstance_of, kinds_of
from evengrad.patches._loop import Maker, makers
from evengrad.patches._names import fresh
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree

_RECURRENT_METHODS = ("recurrent", "forget-bias")
_NEED_MODULES = ("residual", "bias")


@dataclass(frozen=True)
class Initialise(AbstractPatch):
    """Puts lines that draw weights before the optimizer, or rewrites those that are there."""

    def write(self, job: Job) -> SourceTree:
        """Rewrite the script's own initialisation if that is meant, else draw before each optimizer is made."""
        edits = in_place(job)
        if edits:
            return job.edited(edits)
        found = makers(job)
        method = job.change.word("method", "he")
        if not found:
            raise PatchError(
                f"initialise the weights ({method}) right after the model is made; the source given makes no optimizer"
            )
        if method in _NEED_MODULES and not job.change.modules:
            raise PatchError(
                f"{method} needs the names of the layers that it is for; initialise them before the optimizer"
            )
        if job.change.parameters and not job.change.modules:
            return job.edited(_parameters(job, found))
        done: set[str] = set()
        for maker in found:
            edits += [(maker.source, edit) for edit in _before(job, maker, done)]
        missing = [name for name in job.change.modules if name not in done]
        if missing or not edits:
            raise PatchError(
                f"initialise {', '.join(missing) or 'the weights'} ({method}) right before {_places(job, found)}"
            )
        return job.edited(edits)


def _parameters(job: Job, found: list[Maker]) -> list[tuple[Source, Edit]]:
    """Return the edits that draw single parameters, for layers that are neither linear nor convolutions."""
    edits: list[tuple[Source, Edit]] = []
    for name in job.change.parameters:
        owner, _, leaf = name.rpartition(".")
        info = job.facts.parameter(name)
        index = max(info.optimizer, 0) if info is not None else 0
        maker = next((m for m in found if m.info is not None and m.info.index == index), found[0])
        root, statement = root_of(job, maker, owner), maker.statement
        if root is None or statement is None:
            raise PatchError(f"initialise {name} ({job.change.word('method')}) right before {_places(job, [maker])}")
        nn, needed = torch_name(maker.source, "torch.nn", maker.call)
        tensor = f"{expression(*root)}.{leaf}"
        edits += [(maker.source, before(maker.source, statement, draw_of(job.change, nn).weight(tensor, tensor)))]
        edits += [(maker.source, edit) for edit in needed]
    return edits


def _places(job: Job, found: list[Maker]) -> str:
    return " and ".join(job.where(maker.source, maker.line) for maker in found)


def _before(job: Job, maker: Maker, done: set[str]) -> Iterator[Edit]:
    """Yield the edits that draw, before one optimizer, the layers that it is given."""
    statement = maker.statement
    if statement is None:
        raise PatchError(
            f"at {job.where(maker.source, maker.line)}, initialise the weights before the optimizer is made"
        )
    nn, needed = torch_name(maker.source, "torch.nn", maker.call)
    draw = draw_of(job.change, nn)
    _refuse_short(job, maker, draw)
    if draw.method == "data-dependent":
        lines = on_first_batch(job, maker)
        done.update(job.change.modules)
    elif job.change.modules and not _whole(job):
        lines = _named(job, maker, draw, done)
    else:
        _refuse_loaded(job, maker)
        lines = [line for model in _models(job, maker) for line in _everything(job, maker.source, draw, model)]
        done.update(job.change.modules if lines else ())
    if draw.method == "lsuv" and lines:
        lines += on_first_batch(job, maker)
    if lines:
        yield before(maker.source, statement, lines)
        yield from needed


def _refuse_short(job: Job, maker: Maker, draw: Draw) -> None:
    """Raise where torch has no orthogonal matrices in the number format of the weights."""
    formats = {info.dtype for info in job.facts.parameters}
    if draw.method in {"orthogonal", "delta-orthogonal", "lsuv", "recurrent"} and formats & {"float16", "bfloat16"}:
        where = job.where(maker.source, maker.line)
        raise PatchError(
            f"initialise the weights ({draw.method}) before they are converted to a short format, above {where}"
        )


def _whole(job: Job) -> bool:
    """Return whether the layers that are named are all there are of the kinds that the method is for."""
    method = job.change.word("method", "he")
    if method in _NEED_MODULES:
        return False
    kinds = RECURRENT if method in _RECURRENT_METHODS else WEIGHTED
    return {info.name for info in job.facts.modules if info.kind in kinds} == set(job.change.modules)


def _models(job: Job, maker: Maker) -> tuple[str, ...]:
    """Return the expressions of the models whose parameters an optimizer is given."""
    if maker.models:
        return maker.models
    root = root_of(job, maker, "")
    return (root[0],) if root is not None else ()


def _everything(job: Job, source: Source, draw: Draw, model: str) -> list[str]:
    """Return the lines that draw every layer of a model."""
    name = fresh(source, ["module", "m", "layer"])
    if draw.method in _RECURRENT_METHODS:
        gates = draw.method == "forget-bias"
        default = ("LSTM", "GRU") if gates else ("RNN", "LSTM", "GRU")
        wanted = tuple(kind for kind in RECURRENT if "RNN" not in kind) if gates else RECURRENT
        kinds, lines = kinds_of(job.facts, wanted, default), draw.recurrent(name)
    else:
        kinds = kinds_of(job.facts, WEIGHTED, ("Linear", "Conv1d", "Conv2d", "Conv3d"))
        biased = all_biased(job.facts, [info for info in job.facts.modules if info.kind in kinds])
        lines = draw.layer(name, biased=biased)
    head = [f"for {name} in {model}.modules():", f"    if {isinstance_of(draw.nn, kinds, name)}:"]
    return [*head, *("        " + line for line in lines)]


def _named(job: Job, maker: Maker, draw: Draw, done: set[str]) -> list[str]:
    """Return the lines that draw the layers that are named and belong to an optimizer's models."""
    by_root: dict[str, list[tuple[str, str]]] = {}
    for name in job.change.modules:
        root = root_of(job, maker, name)
        if root is not None and name not in done:
            by_root.setdefault(root[0], []).append((name, root[1]))
    variables = [fresh(maker.source, ["block", "part"]), fresh(maker.source, ["layer", "module", "m"])]
    lines: list[str] = []
    for root_expression, names in by_root.items():
        infos = [info for name, _ in names if (info := job.facts.module(name)) is not None]
        recurrent = draw.method in _RECURRENT_METHODS and all(info.kind in RECURRENT for info in infos)
        biased = all_biased(job.facts, infos)

        def one(expression: str, *, recurrent: bool = recurrent, biased: bool = biased) -> list[str]:
            return draw.recurrent(expression) if recurrent else draw.layer(expression, biased=biased)

        lines += for_each(job.facts, root_expression, [below for _, below in names], one, variables)
        done.update(name for name, _ in names)
    return lines


def _refuse_loaded(job: Job, maker: Maker) -> None:
    """Raise if weights are loaded before the optimizer is made: drawing anew would throw them away."""
    source = maker.source
    for call in source.all(cst.Call):
        name = call.func.attr.value if isinstance(call.func, cst.Attribute) else (source.dotted(call.func) or "")
        loads = name == "from_pretrained" or (name == "load_state_dict" and isinstance(call.func, cst.Attribute))
        if not loads or source.span(call)[0] > source.span(maker.call)[0]:
            continue
        receiver = source.code(call.func.value) if isinstance(call.func, cst.Attribute) else ""
        if name == "from_pretrained" or any(m == receiver or m.startswith(receiver + ".") for m in maker.models):
            where = job.where(source, source.line(call))
            raise PatchError(
                f"weights are loaded at {where}; initialise only the layers that are new, behind that line"
            )


PATCH = Initialise()
