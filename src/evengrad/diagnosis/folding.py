"""One fault, one finding: findings that another one explains become its consequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evengrad.core.finding import Finding, Severity
from evengrad.diagnosis.links import OWNERS, ROOTS, TABLE


def fold(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that no other one explains, each with what it explains, worst first.

    Chains are resolved to their root. A root takes the severity of its worst consequence. Information never explains a
    warning or an error: what is no fault has no faults as consequences.
    """
    findings = sorted(findings, key=_rank)
    parents: dict[int, int] = {}
    # Symptoms look for their causes first, so that of two that could explain each other the root stays one.
    for index in reversed(range(len(findings))):
        parent = _parent(findings, index, parents)
        if parent is not None:
            parents[index] = parent
    folded: dict[int, list[Finding]] = {index: [] for index in range(len(findings)) if index not in parents}
    for index in sorted(parents, key=lambda item: findings[item].first_step):
        folded[_root(index, parents)].append(findings[index])
    roots = [_with_consequences(findings[index], consequences) for index, consequences in folded.items()]
    return tuple(sorted(roots, key=lambda finding: (-finding.severity.rank, finding.first_step, finding.rule)))


def _rank(finding: Finding) -> tuple[int, int, str, tuple[str, ...]]:
    """Return a key that puts roots before symptoms, whatever the order in which rules spoke."""
    place = ROOTS.index(finding.rule) if finding.rule in ROOTS else len(ROOTS)
    return place, finding.first_step, finding.rule, finding.modules


def _parent(findings: Sequence[Finding], index: int, parents: dict[int, int]) -> int | None:
    """Return the finding that explains one, or None; never one that it explains itself, through whatever chain."""
    effect = findings[index]
    for candidate in _candidates(findings, effect):
        root = findings[candidate]
        weaker = root.severity is Severity.INFO and effect.severity is not Severity.INFO
        if not weaker and _root(candidate, parents) != index:
            return candidate
    return None


def _candidates(findings: Sequence[Finding], effect: Finding) -> list[int]:
    """Return who may explain a finding, best first: the rule whose fault its cause is, then the table from the top."""
    owner = OWNERS.get(effect.cause.kind) if effect.cause else None
    named = [i for i, root in enumerate(findings) if owner and root.rule == owner != effect.rule]
    tabled = [i for link in TABLE for i, root in enumerate(findings) if root is not effect and link.fits(root, effect)]
    return [*named, *tabled]


def _root(index: int, parents: dict[int, int]) -> int:
    """Return the end of a chain of parents."""
    while index in parents:
        index = parents[index]
    return index


def _with_consequences(root: Finding, consequences: Sequence[Finding]) -> Finding:
    """Return a finding with what it explains: as severe as the worst of all, and begun with the first sign of any."""
    begun = min(finding.first_step for finding in (root, *consequences))
    severity = max((f.severity for f in (root, *consequences)), key=lambda severity: severity.rank)
    return replace(root, severity=severity, first_step=begun, consequences=(*root.consequences, *consequences))
