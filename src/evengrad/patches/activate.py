"""Put another function at activation sites, or none.

Settings:
    to: ``relu, leaky-relu, prelu, elu, selu, celu, gelu, silu, mish, softplus, hardswish, tanh, sigmoid, hardtanh`` or
        ``identity``, which removes it.
    slope: negative slope of ``leaky-relu``, or the value that ``prelu``'s slope starts from, "1"; torch's own unless
        given.

``modules``: names of the activation sites (``net.1``, ``fc1:sigmoid``), or of the activation modules; none: the
sites on ``lines``; neither: it is refused. Sites that one line of source makes (a loop, a comprehension) can only
change together: it is refused if ``modules`` holds some of them and not others.

Constructors (``nn.Sigmoid()``), functions under whatever name (``F.sigmoid``), methods (``x.sigmoid()``), classes and
functions passed as values (``act=nn.Sigmoid``) and arguments of recurrent and transformer layers
(``activation="relu"``; recurrent ones know tanh and relu only) are rewritten. ``prelu`` at a functional call becomes an
attribute made in ``__init__``. ``inplace=True`` is kept where the new function has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from evengrad.core.info import SiteInfo, SourceLine
from evengrad.errors import PatchError
from evengrad.patches._activations import ACTIVATIONS, Use, uses
from evengrad.patches._base import AbstractPatch, Job
from evengrad.patches._repeats import makers_of
from evengrad.patches._rewrite_activation import rewrite
from evengrad.patches._source import Source
from evengrad.patches._tree import SourceTree


@dataclass(frozen=True)
class Activate(AbstractPatch):
    """Rewrites the source of activation sites."""

    def write(self, job: Job) -> SourceTree:
        """Rewrite what makes or calls the activations that are meant."""
        to = job.change.word("to")
        if to != "identity" and to not in ACTIVATIONS:
            raise PatchError(f"{to!r} is no activation known here; write it in by hand")
        chosen = _chosen(job)
        found: list[Use] = []
        for path, line, sites in _by_line(job, chosen):
            found += _matching(job, job.source(path), line, sites)
        slope = job.change.number("slope")
        done = list({id(use.node): use for use in found}.values())
        return job.edited((use.source, edit) for use in done for edit in rewrite(job, use, to, slope))


def _chosen(job: Job) -> tuple[SiteInfo, ...]:
    """Return the activation sites that the change names, by name or by line."""
    if job.change.modules:
        names = set(job.change.modules)
        sites = tuple(site for site in job.facts.activations if site.name in names)
        known = {site.name for site in sites}
        rest = [info for info in job.facts.modules if info.name in names - known and info.defined is not None]
        classes = {a.module: a.node for a in ACTIVATIONS.values() if a.module}
        sites += tuple(SiteInfo(i.name, i.name, classes[i.kind], i.defined) for i in rest if i.kind in classes)
        if sites:
            return sites
    lines = {(job.tree.find(line), line.line) for line in job.change.lines}
    by_line = tuple(
        site
        for site in job.facts.activations
        if site.source is not None and (job.tree.find(site.source), site.source.line) in lines
    )
    if by_line or job.change.lines:
        return by_line or tuple(SiteInfo(f"line {line.line}", "", "", line) for line in job.change.lines)
    raise PatchError(
        f"the source lines of {', '.join(job.change.modules) or 'the activations'} are not known; {_say(job)}"
    )


def _say(job: Job) -> str:
    to = job.change.word("to")
    return "take the activation out there" if to == "identity" else f"use {to} there"


def _by_line(job: Job, sites: Sequence[SiteInfo]) -> Iterator[tuple[str, int, tuple[SiteInfo, ...]]]:
    """Yield file, line and the sites that are made or called there."""
    grouped: dict[tuple[str, int], list[SiteInfo]] = {}
    for site in sites:
        line = _line_of(job, site)
        path = job.tree.find(line)
        if path is None or line is None:
            where = f"{line.file}:{line.line}" if line is not None else f"`{site.name}`"
            raise PatchError(f"the activation at {where} is not in the source given; {_say(job)}")
        grouped.setdefault((path, line.line), []).append(site)
    for (path, number), found in grouped.items():
        yield path, number, tuple(found)


def _line_of(job: Job, site: SiteInfo) -> SourceLine | None:
    """Return the line that a site is made or called on; for a call of a container, where the module in it was made."""
    path = job.tree.find(site.source)
    if path is None or site.source is None or _candidates(job, job.source(path), site.source.line, site.operation):
        return site.source
    names = [info.name for info in job.facts.modules]
    start = names.index(site.module) if site.module in names else len(names)
    classes = {a.module for a in ACTIVATIONS.values() if a.node == site.operation}
    parent = site.module.rpartition(".")[0]
    behind = [i for i in job.facts.modules[start + 1 :] if i.name.rpartition(".")[0] == parent and i.kind in classes]
    return behind[0].defined if behind else site.source


def _matching(job: Job, source: Source, line: int, sites: tuple[SiteInfo, ...]) -> list[Use]:
    """Return the uses on a line that belong to some of the sites there."""
    operations = {site.operation for site in sites}
    result: list[Use] = []
    for operation in operations:
        wanted = [site for site in sites if site.operation == operation]
        candidates = _candidates(job, source, line, operation)
        if not candidates:
            shown = job.where(source, line)
            raise PatchError(
                f"at {shown}: {_say(job)} (`{wanted[0].name}`); no call there tells which activation it is"
            )
        result += _of_sites(job, source, line, wanted, candidates)
    return result


def _of_sites(job: Job, source: Source, line: int, wanted: list[SiteInfo], candidates: list[Use]) -> list[Use]:
    """Return those of a line's uses that make the wanted sites and no other."""
    here = [
        site
        for site in job.facts.activations
        if site.operation == wanted[0].operation
        and site.source is not None
        and (job.tree.find(site.source), site.source.line) == (source.path, line)
    ]
    names = {site.name for site in wanted}
    order = makers_of(source, [use.node for use in candidates], len(here))
    if not here or order is None:
        if any(site.name not in names for site in here):
            raise PatchError(f"at {job.where(source, line)}, {_say(job)} for {', '.join(sorted(names))} only")
        return candidates
    result = []
    for index, use in enumerate(candidates):
        made = [site.name for site, maker in zip(here, order, strict=True) if maker == index]
        chosen = [name for name in made if name in names]
        if chosen and len(chosen) < len(made):
            kept = ", ".join(name for name in made if name not in names)
            raise PatchError(
                f"{job.where(source, line)} makes {len(made)} activations, of which {kept} must stay: make them apart, "
                f"then {_say(job)} for {', '.join(chosen)}"
            )
        if chosen:
            result.append(use)
    return result


def _candidates(job: Job, source: Source, line: int, operation: str) -> list[Use]:
    """Return the uses of an operation on a line: calls that begin there, else that cover it, else what it is given."""
    ids = {key for key, a in ACTIVATIONS.items() if a.node == operation} if operation else set(ACTIVATIONS)
    calls = [u for u in uses(source) if u.id in ids and u.kind in {"constructor", "function", "method", "word"}]
    found = [use for use in calls if use.line == line]
    if found:
        return found
    around = source.calls_on(line)
    inside = [use for use in calls if use.node in around]
    return inside or _passed(job, source, line, ids)


def _passed(job: Job, source: Source, line: int, ids: set[str]) -> list[Use]:
    """Return what a line gets under another name: a class or function passed as a value, an attribute of self."""
    unknown = [call for call in source.calls_on(line) if _opaque(source, call)]
    if not unknown:
        return []
    everywhere = [use for other in job.sources for use in uses(other) if use.id in ids]
    attributes = {a.attr.value for call in unknown if isinstance(a := call.func, cst.Attribute)}
    made = [u for u in everywhere if u.kind == "constructor" and attributes & _attribute_names(u)]
    if len(made) == 1:
        return made
    names = {name for call in unknown if (name := (source.dotted(call.func) or "").rpartition(".")[2])}
    values = [use for use in everywhere if use.kind in {"class", "callable"} and _bound_to(use) & {*names, ""}]
    if names and len(values) == 1:
        return values
    empty = [call for call in unknown if not call.args]
    return [Use(source, empty[0], "constructor", min(ids))] if len(empty) == 1 else []


def _opaque(source: Source, call: cst.Call) -> bool:
    """Return whether the imports do not tell what is called."""
    return source.resolve(call.func) is None


def _attribute_names(use: Use) -> set[str]:
    """Return the attributes of self that a constructor's value is kept under."""
    parent = use.source.parents.get(use.node)
    if not isinstance(parent, cst.Assign):
        return set()
    return {t.target.attr.value for t in parent.targets if isinstance(t.target, cst.Attribute)}


def _bound_to(use: Use) -> set[str]:
    """Return the names that a value is passed or kept under; ``""`` for one passed by position, none for a table's."""
    source = use.source
    for parent in source.ancestors(use.node):
        if isinstance(parent, cst.Dict | cst.List | cst.Tuple | cst.Set | cst.Subscript):
            return set()
        if isinstance(parent, cst.Param):
            return {parent.name.value}
        if isinstance(parent, cst.Arg):
            return {parent.keyword.value if parent.keyword is not None else ""}
        if isinstance(parent, cst.Assign):
            return {source.code(target.target).rpartition(".")[2] for target in parent.targets}
        if isinstance(parent, cst.BaseStatement):
            return set()
    return set()


PATCH = Activate()
