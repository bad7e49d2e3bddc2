"""How a module's name is written in source: ``net.0`` of ``model`` is ``model.net[0]``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from evengrad.core.info import ModuleInfo
from evengrad.patches._base import Job
from evengrad.patches._facts import Facts
from evengrad.patches._loop import Maker
from evengrad.patches._names import own_targets, same_meaning

Lines = Callable[[str], list[str]]


def root_of(job: Job, maker: Maker, name: str) -> tuple[str, str] | None:
    """Return the expression of the model that a module belongs to, and the module's name below it.

    Args:
        job: What is being written.
        maker: The optimizer before which the expression is used.
        name: The module, as the trace names it.

    Returns:
        Expression and name, or None if neither the optimizer's arguments nor an assignment tell.
    """
    roots = [
        info for info in job.facts.modules if name == info.name or not info.name or name.startswith(info.name + ".")
    ]
    for root in sorted(roots, key=lambda info: len(info.name)):
        below = name[len(root.name) :].removeprefix(".")
        assigned = _assigned(job, maker, root)
        # Of several models made on one line (`g, d = G(), D()`) the trace's name is the variable's.
        own = [target for target in assigned if target.rpartition(".")[2] == root.name] or assigned
        if len(own) == 1 and _is_model(own[0], maker):
            return own[0], below
        if not root.name and len(maker.models) == 1:
            return maker.models[0], below
        if root.name in maker.models:
            return root.name, below
    return (maker.models[0], name) if len(maker.models) == 1 and not roots else None


def _assigned(job: Job, maker: Maker, root: ModuleInfo) -> list[str]:
    """Return the variables that models made on a line are assigned to, as far as the optimizer's place knows them."""
    source = maker.source
    if root.defined is None or job.tree.find(root.defined) != source.path:
        return []
    found = [
        target
        for call in source.calls_on(root.defined.line)
        for target in own_targets(source, call)
        if same_meaning(source, target.partition(".")[0], call, maker.call)
    ]
    return list(dict.fromkeys(found))


def _is_model(target: str, maker: Maker) -> bool:
    """Return whether an assignment's target is the model: the optimizer is given it, or a part of it."""
    named = [model for model in maker.models if model == target or model.startswith(target + ".")]
    return bool(named) or not maker.models


def expression(root: str, name: str) -> str:
    """Return the expression of a module below a root; numbers are indices."""
    parts = [f"[{part}]" if part.isdigit() else f".{part}" for part in name.split(".") if part]
    return root + "".join(parts)


def for_each(facts: Facts, root: str, names: Sequence[str], lines: Lines, variables: Sequence[str]) -> list[str]:
    """Return lines that do something for each of some modules, in order, in loops where the names form a series.

    Args:
        facts: Tells which children a container has.
        root: Expression of the model.
        names: The modules, below the root.
        lines: Gives the lines for the expression of one module.
        variables: Names for the variable of a loop, over a list of blocks and over anything else.

    Returns:
        The lines.
    """
    result: list[str] = []
    done = 0
    while done < len(names):
        series = _series(facts, names[done:])
        if series is None:
            result += lines(expression(root, names[done]))
            done += 1
            continue
        container, suffix, count = series
        loop = variables[0] if suffix else variables[1]
        body = lines(expression(loop, suffix))
        result += [f"for {loop} in {expression(root, container)}:", *("    " + line for line in body)]
        done += count
    return result


def _series(facts: Facts, names: Sequence[str]) -> tuple[str, str, int] | None:
    """Return ``(container, suffix, length)`` if names begin with one for each child of a container, else None."""
    for match in re.finditer(r"(?:^|(?<=\.))0(?=\.|$)", names[0]):
        container, suffix = names[0][: match.start()].removesuffix("."), names[0][match.end() :].removeprefix(".")
        stem = f"{container}." if container else ""
        children = [
            info.name for info in facts.modules if info.name.startswith(stem) and info.name[len(stem) :].isdigit()
        ]
        wanted = [f"{child}.{suffix}" if suffix else child for child in children]
        if len(wanted) > 1 and list(names[: len(wanted)]) == wanted:
            return container, suffix, len(wanted)
    return None
