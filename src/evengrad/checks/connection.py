"""Judges which parameters the gradient reaches, and which weights can never come apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evengrad.checks.criteria import Case
from evengrad.checks.texts import because, say
from evengrad.core.finding import Cause, CauseKind, Evidence, Finding, Severity
from evengrad.core.info import ParamInfo
from evengrad.rules._depth import shown, source_lines
from evengrad.rules._words import module_of, percent, place

_QUANTITY = "share of entries without gradient"


def judge_connection(case: Case) -> Iterator[Finding]:
    """Yield which parameters get no gradient, and which get one that no optimizer uses."""
    trace = case.trace
    trained = [info for info in trace.parameters if info.requires_grad]
    without = [info for info in trained if not _is_reached(case, info)]
    stuck = stuck_at_zero(case)
    cut = [info for info in without if info not in stuck]
    total = max(1, sum(info.numel for info in trained))
    alive = [info for info in trained if info not in without]
    if stuck:
        yield _stuck(case, stuck)
    if not alive:
        if cut:
            yield _all_cut(case, without)
        return
    if any(len(info.shape) >= 2 for info in cut):
        yield _cut(case, cut, alive, total)
    foreign = [info for info in alive if info.optimizer < 0]
    if case.optimizer.members is not None and foreign:
        yield _not_held(case, foreign, total)


def _is_reached(case: Case, info: ParamInfo) -> bool:
    """Return whether any seed sent a parameter a gradient; one that is not finite counts."""
    return any(info.name in probe.reached for probe in case.probes)


def _is_zero(case: Case, info: ParamInfo) -> bool:
    sizes = (probe.weights.get(info.name, 1.0) for probe in case.probes)
    return all(size == 0 for size in sizes)


def _all_cut(case: Case, without: Sequence[ParamInfo]) -> Finding:
    text, key, values = say("nothing")
    modules = module_of(case.trace, [info.name for info in without])
    return Finding(
        rule="no-gradient",
        severity=Severity.ERROR,
        message=text,
        modules=modules,
        parameters=tuple(info.name for info in without),
        source=source_lines(case.trace, modules),
        evidence=(Evidence(_QUANTITY, 1.0, case.criteria.cut),),
        cause=_cut_cause(case, without),
        message_key=key,
        values=values,
    )


def _cut(case: Case, cut: Sequence[ParamInfo], alive: Sequence[ParamInfo], total: int) -> Finding:
    """Return the finding on parameters without gradient beside others that have one."""
    trace, share = case.trace, sum(info.numel for info in cut) / total
    modules = module_of(trace, [info.name for info in cut])
    called = {module.name for module in trace.modules if module.called is not None}
    order = [info for info in trace.parameters if info in cut or info in alive]
    nearest = order[0] in cut and any(info.module in called for info in cut)
    values = {"count": str(len(cut)), "share": percent(share)}
    if nearest:
        text, key, pairs = say("cut", **values, module=place(trace, cut[-1].module))
        severity = Severity.ERROR if share >= 0.5 else Severity.WARNING if share >= case.criteria.cut else Severity.INFO
    else:
        text, key, pairs = say("unused", **values, modules=shown(modules))
        severity = Severity.INFO
    return Finding(
        rule="no-gradient",
        severity=severity,
        message=text,
        modules=modules,
        parameters=tuple(info.name for info in cut),
        source=source_lines(trace, modules),
        evidence=(Evidence(_QUANTITY, share, case.criteria.cut, "1", cut[0].name),),
        cause=_cut_cause(case, cut),
        message_key=key,
        values=pairs,
    )


def _cut_cause(case: Case, cut: Sequence[ParamInfo]) -> Cause:
    """Say whether no path leads there, or one that passes exactly nothing."""
    module = place(case.trace, cut[-1].module)
    missing = all(info.name not in probe.gradients for info in cut for probe in case.probes)
    if missing:
        return because(CauseKind.DISCONNECTED, "cause-disconnected", module=module)
    return because(CauseKind.ACTIVATION_DERIVATIVE, "cause-blocked", module=module)


def _not_held(case: Case, foreign: Sequence[ParamInfo], total: int) -> Finding:
    share = sum(info.numel for info in foreign) / total
    modules = module_of(case.trace, [info.name for info in foreign])
    text, key, values = say("not-held", count=str(len(foreign)), share=percent(share), modules=shown(modules))
    return Finding(
        rule="no-gradient",
        severity=Severity.WARNING if share >= case.criteria.cut else Severity.INFO,
        message=text,
        modules=modules,
        parameters=tuple(info.name for info in foreign),
        source=source_lines(case.trace, modules),
        evidence=(Evidence("share of entries that no optimizer holds", share, case.criteria.cut),),
        cause=because(CauseKind.DISCONNECTED, "cause-not-held"),
        message_key=key,
        values=values,
    )


def _stuck(case: Case, stuck: Sequence[ParamInfo]) -> Finding:
    names = tuple(info.name for info in stuck)
    modules = module_of(case.trace, names)
    text, key, values = say("stuck-at-zero", parameters=", ".join(names[:4]))
    return Finding(
        rule="bad-initialisation",
        severity=Severity.ERROR,
        message=text,
        modules=modules,
        parameters=names,
        source=source_lines(case.trace, modules),
        evidence=(Evidence("weights that are zero and get no gradient", float(len(stuck)), 1.0, "1", names[0]),),
        cause=because(CauseKind.WEIGHT_SCALE_SMALL, "cause-zero"),
        message_key=key,
        values=values,
    )


def copied(case: Case) -> tuple[str, ...]:
    """Return the weights of hidden layers all of whose units are the same, in every seed."""
    ledger = case.typical.ledger
    last = ledger.last if ledger is not None else ""
    heads = {name for site in case.trace.layers if site.name == last for name in site.parameters}
    alike = (name for name in case.typical.copies if name not in heads and all(name in p.copies for p in case.probes))
    return tuple(alike) if heads else ()


def stuck_at_zero(case: Case) -> tuple[ParamInfo, ...]:
    """Return the weights that are zero and get no gradient, even once the zero weights that do get one have moved."""
    infos = (info for info in case.trace.parameters if info.requires_grad and len(info.shape) >= 2)
    return tuple(info for info in infos if _is_zero(case, info) and not _is_reached(case, info))


def judge_copies(case: Case) -> Iterator[Finding]:
    """Yield hidden layers whose units all begin with the same weights."""
    alike = copied(case)
    if not alike:
        return
    modules = module_of(case.trace, alike)
    text, key, values = say("identical", layers=shown(modules))
    yield Finding(
        rule="bad-initialisation",
        severity=Severity.ERROR,
        message=text,
        modules=modules,
        parameters=alike,
        source=source_lines(case.trace, modules),
        evidence=(Evidence("difference between hidden units", 0.0, 0.0, "1", alike[0]),),
        cause=because(CauseKind.WEIGHT_SCALE_SMALL, "cause-units-alike"),
        message_key=key,
        values=values,
    )
