"""Repairs that come in pairs: what one of them asks of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from evengrad.core.finding import Finding
from evengrad.core.plan import Act, Change, Plan, Setting
from evengrad.core.trace import Trace
from evengrad.remedies._catalogue import catalogue_remedies
from evengrad.remedies._facts import depth, optimizer
from evengrad.remedies.lower_lr import REMEDY as LOWER_LR

# The initialisation that belongs to an activation once it is swapped in, by method; He et al. 2015 (rectifiers),
# Glorot and Bengio 2010 (tanh), Klambauer et al. 2017 (SELU). GELU and SiLU have a critical point that is theory's.
_MATCHING: Final[Mapping[str, tuple[str, Mapping[str, Setting]]]] = {
    "relu": ("he-init", {"method": "he"}),
    "leaky-relu": ("he-init", {"method": "he"}),
    "prelu": ("he-init", {"method": "he"}),
    "tanh": ("xavier-init", {"method": "xavier", "gain": 1.0}),
    "selu": ("lecun-init", {"method": "lecun"}),
    "gelu": ("lsuv-init", {"method": "lsuv", "tolerance": 0.1}),
    "silu": ("lsuv-init", {"method": "lsuv", "tolerance": 0.1}),
}
_SLOPED: Final = ("leaky-relu", "prelu")
_SMALLER: Final = 10.0  # what the rate is divided by then; own choice (5 repaired those 20 layers)
_DEEP: Final = 10  # layers from which a right initialisation exposed a rate that was too high (own measurement: 20)


def matching(change: Change) -> Change | None:
    """Return the initialisation that belongs to an activation, or None."""
    if change.act is not Act.ACTIVATE or change.word("to") not in _MATCHING:
        return None
    name, settings = _MATCHING[change.word("to")]
    remedy = catalogue_remedies()[name]
    slope = {"slope": change.number("slope")} if change.word("to") in _SLOPED else {}
    return Change(remedy.id, remedy.act, remedy.risk, tuple({**settings, **slope}.items()))


def pairs(singles: Sequence[Change], extra: Sequence[Change], finding: Finding, trace: Trace) -> Iterator[Plan]:
    """Give the pairs that are worth a trial, likeliest first.

    Args:
        singles: Changes proposed for the finding, in order.
        extra: Changes proposed for its consequences.
        finding: What is to be repaired.
        trace: The run.

    Yields:
        An activation with its initialisation; in a deep net an initialisation with a lower rate; a ramp with a lower
        rate; and a change for the fault with one for each of its consequences.
    """
    for change in singles:
        init = matching(change)
        if init is not None:
            yield Plan((change, init))
    yield from _in_time(singles)
    yield from _with_lower_rate(singles, finding, trace)
    for change in singles[:1]:
        for other in extra:
            if other.remedy != change.remedy and (other.act is not change.act or not _meet(change, other)):
                yield Plan((change, other))


def _in_time(singles: Sequence[Change]) -> Iterator[Plan]:
    """Give a recurrence that neither grows nor shrinks at first together with a bound for when it does later."""
    drawn = next((change for change in singles if change.word("method") == "recurrent"), None)
    clip = next((change for change in singles if change.act is Act.CLIP), None)
    if drawn is not None and clip is not None:
        yield Plan((drawn, clip))


def _with_lower_rate(singles: Sequence[Change], finding: Finding, trace: Trace) -> Iterator[Plan]:
    """Give what needs smaller steps beside it: a right initialisation in depth, a ramp to a rate that is too high."""
    measured = next((change for change in singles if change.remedy == LOWER_LR.id), None)
    ramp = next((change for change in singles if change.act is Act.WARM_UP), None)
    if measured is not None and ramp is not None:
        yield Plan((measured, ramp))
    drawn = next((change for change in singles if change.act is Act.INITIALISE), None)
    info = optimizer(trace, finding)
    plain_steps = info is not None and info.family == "linear"
    if drawn is not None and plain_steps and depth(trace) >= _DEEP and finding.rule != "dead-units":
        yield Plan((drawn, LOWER_LR.divided(trace, None, _SMALLER)))


def _meet(one: Change, other: Change) -> bool:
    """Return whether two changes set the same number."""
    return bool({name for name, _ in one.settings} & {name for name, _ in other.settings})
