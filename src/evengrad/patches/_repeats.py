"""Which call on a line made which of the things that were made there."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from evengrad.patches._source import Source


def makers_of(source: Source, calls: Sequence[cst.CSTNode], count: int) -> list[int] | None:
    """Return, for each of ``count`` things that a line made, the index of the call that made it.

    Calls in a loop take turns. Of a comprehension beside other elements, the others make one thing each, and the
    comprehension the rest: ``[*[nn.Linear(8, 8) for _ in range(3)], nn.Linear(8, 1)]`` gives 0, 0, 0, 1.

    Args:
        source: The file.
        calls: Calls of one kind on the line, in the order in which they are made.
        count: How many things the run saw.

    Returns:
        Indices into ``calls``; None if that is not sure.
    """
    inside = [_comprehension(source, call) for call in calls]
    groups = list(dict.fromkeys(id(c) for c in inside if c is not None))
    repeated = [index for index, c in enumerate(inside) if c is not None]
    if not groups or (len(repeated) == len(calls) and len(groups) == 1):
        return None if count % len(calls) else [index % len(calls) for index in range(count)]
    first, last = repeated[0], repeated[-1]
    rest = count - (len(calls) - len(repeated))
    if len(groups) > 1 or repeated != list(range(first, last + 1)) or rest < 0 or rest % len(repeated):
        return None
    middle = [repeated[index % len(repeated)] for index in range(rest)]
    return [*range(first), *middle, *range(last + 1, len(calls))]


def _comprehension(source: Source, call: cst.CSTNode) -> cst.CSTNode | None:
    """Return the outermost comprehension that a call is in, within its statement."""
    found: cst.CSTNode | None = None
    for parent in source.ancestors(call):
        if isinstance(parent, cst.BaseComp):
            found = parent
        if isinstance(parent, cst.BaseStatement):
            break
    return found
