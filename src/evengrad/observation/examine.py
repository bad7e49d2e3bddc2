"""Second looks: where a non-finite number was made, and whether gradients reach what the optimizer holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evengrad.core.event import EventKind
from evengrad.observation.deep import DeepProbe
from evengrad.observation.graph import Graph, is_too_large
from evengrad.observation.nonfinite import SINGULAR, find_origin
from evengrad.observation.optimizers import Held, Optimizers
from evengrad.observation.registry import Registry
from evengrad.observation.store import Store

_MOST_EXAMINATIONS = 3
_MOST_ALARM_PROBES = 3
_MOST_BLOCKED = 8  # matrices in no optimizer that are looked at; there are none in a loop without this fault


class Examiner:
    """Looks closer where something is wrong; a few times per run."""

    def __init__(self, store: Store, registry: Registry, deep: DeepProbe) -> None:
        self._store = store
        self._registry = registry
        self._deep = deep
        self._examined = 0
        self._alarm_probes = 0
        self._wanted = False
        self._found = False
        self._foreign_checked = 0

    def wants_probe(self) -> bool:
        """Return whether the next step is to be probed because something looks wrong; asks once per alarm."""
        wanted, self._wanted = self._wanted, False
        return wanted

    def alarm(self) -> None:
        """Ask for a probe of the next step; granted a few times per run."""
        if self._alarm_probes < _MOST_ALARM_PROBES:
            self._alarm_probes += 1
            self._wanted = True

    def loss(self, roots: Sequence[Tensor], step: int, optimizers: Optimizers) -> bool:
        """Examine the graph of a non-finite loss before its backward pass.

        Returns:
            Whether it was examined: only the first few are.
        """
        self._store.note(EventKind.NON_FINITE_LOSS, step)
        if self._examined >= _MOST_EXAMINATIONS:
            return False
        self._examined += 1
        self.alarm()
        if is_too_large(roots, self._deep.since):
            return True
        with torch.no_grad():
            graph = Graph(roots, self._registry, self._deep.calls)
            self._deep.recall(graph)
            used = {id(leaf) for leaf in graph.leaf_parameters()}
            pairs = (pair for held in optimizers for pair in held.by_name().items())
            named = [(name, tensor) for name, tensor in pairs if id(tensor) in used]
            origin = find_origin(graph, self._deep.readable, named)
        if origin is None or (origin.phase == "update" and self._found):
            return True  # weights that an earlier fault has spoilt are no fault of their own
        self._found = True
        if origin.phase == "update" and self._suspect_backward(set(origin.parameters), max(step - 1, 0)):
            return True
        operation = origin.operation
        details = {
            "phase": origin.phase,
            "operation": operation.name if operation else "",
            "module": operation.module if operation else "",
            "inside": str(bool(operation and operation.module_id)),
            "quantity": "loss",
            "inputs": origin.inputs,
            "certainty": origin.certainty,
            "dtype": origin.dtype,
            "parameters": ", ".join(origin.parameters[:8]),
        }
        # Weights that are already bad at this step were made so by the step before.
        at = max(step - 1, 0) if origin.phase == "update" else step
        source = operation.source if operation else None
        self._store.note(EventKind.NON_FINITE, at, key=origin.phase, details=details, source=source)
        return True

    def gradients(self, names: list[str], step: int, held: Held) -> None:
        """Note gradients that are not finite."""
        details = {"parameters": ", ".join(names[:8]), "count": str(len(names)), "total": str(len(held.names))}
        if held.info is not None:
            details["optimizer"] = held.info.kind
        self._store.note(EventKind.NON_FINITE_GRADIENT, step, details=details)
        self.alarm()
        if not self._found and not self._deep.armed and self._deep.loss_is_finite:
            self._found = self._suspect_backward(set(names), step)

    def _suspect_backward(self, spoilt: set[str], step: int) -> bool:
        """Name the likely operation of a backward pass that was not probed.

        Every weight below the operation (towards the data) got a spoilt gradient, every weight above it did not: the
        operation lies between. Of the operations there, the one nearest the loss whose derivative can be infinite is
        named.

        Returns:
            Whether there is such an operation.
        """
        learned = self._deep.learned
        clean = [i for i, known in enumerate(learned) if known.weights and not spoilt.intersection(known.weights)]
        dirty = [i for i, known in enumerate(learned) if spoilt.intersection(known.weights)]
        if not dirty:
            return False
        above = [i for i in clean if i > dirty[-1]]
        between = learned[dirty[-1] + 1 : above[0] if above else len(learned)]
        suspect = next((known for known in reversed(between) if known.name in SINGULAR), None)
        if suspect is None:
            return False
        details = {
            "phase": "backward",
            "operation": suspect.name,
            "module": suspect.module,
            "quantity": "gradient",
            "certainty": "likely",
            "parameters": ", ".join(sorted(spoilt)[:8]),
        }
        self._store.note(EventKind.NON_FINITE, step, key="backward", details=details, source=suspect.source)
        return True

    def connectivity(self, held: Held, step: int, optimizers: Optimizers) -> None:
        """Note parameters that get gradient while no optimizer holds them, when the optimizer's own get none.

        So it is where such a parameter is a matrix of zeros: it stays so, and passes no gradient on.
        """
        leaves = self._deep.leaf_parameters()
        if not leaves or self._foreign_checked > 3:
            return
        self._foreign_checked += 1
        own = {id(parameter) for parameter in optimizers.held_parameters()}
        foreign = [leaf for leaf in leaves if id(leaf) not in own and isinstance(leaf, torch.nn.Parameter)]
        reached = sum(id(leaf) in own for leaf in leaves)
        mine = [parameter for parameter in held.live() if parameter is not None and parameter.requires_grad]
        if foreign and reached == 0 and mine:
            names = self._registry.parameter_names
            unknown = ", ".join(names.get(id(leaf), f"tensor of shape {tuple(leaf.shape)}") for leaf in foreign[:4])
            details = {"parameters": unknown, "count": str(len(foreign)), "held": str(len(mine))}
            self._store.note(EventKind.FOREIGN_PARAMETERS, step, details=details)
            return
        blocked = [leaf for leaf in foreign[:_MOST_BLOCKED] if leaf.dim() >= 2 and not bool(leaf.any())]
        if blocked and mine:
            names = self._registry.parameter_names
            zero = ", ".join(names.get(id(leaf), f"tensor of shape {tuple(leaf.shape)}") for leaf in blocked)
            self._store.note(EventKind.FOREIGN_PARAMETERS, step, key="zero", details={"parameters": zero, "zero": "1"})
