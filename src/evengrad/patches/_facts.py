"""What a patch needs to know of a run."""

from __future__ import annotations

from dataclasses import dataclass

from evengrad.core.info import ModuleInfo, OptimizerInfo, ParamInfo, SiteInfo
from evengrad.core.trace import Trace


@dataclass(frozen=True)
class Facts:
    """The part of a trace that ties names to lines of source; the fields are those of ``Trace``."""

    script: str = ""
    modules: tuple[ModuleInfo, ...] = ()
    layers: tuple[SiteInfo, ...] = ()
    activations: tuple[SiteInfo, ...] = ()
    parameters: tuple[ParamInfo, ...] = ()
    optimizers: tuple[OptimizerInfo, ...] = ()

    def module(self, name: str) -> ModuleInfo | None:
        """Return a module by name, or None."""
        return next((info for info in self.modules if info.name == name), None)

    def parameter(self, name: str) -> ParamInfo | None:
        """Return a parameter by name, or None."""
        return next((info for info in self.parameters if info.name == name), None)


def facts_of(trace: Trace) -> Facts:
    """Return what patches need of a trace."""
    return Facts(trace.script, trace.modules, trace.layers, trace.activations, trace.parameters, trace.optimizers)
