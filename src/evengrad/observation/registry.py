"""What is being trained: live modules, their names, and the names of parameters."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator
from types import FrameType

from torch import Tensor, nn

from evengrad.core.info import ModuleInfo, SourceLine
from evengrad.observation.sources import is_user_file, line_of, variables_of

_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
}
_INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the user's own module inside compile and distribution wrappers."""
    while (attribute := _WRAPPERS.get(type(module).__name__)) and attribute in module._modules:
        inner = module._modules[attribute]
        if inner is None:
            break
        module = inner
    return module


def cleaned(name: str) -> str:
    """Return a parameter's or module's name without what wrappers have put into it."""
    for infix in _INFIXES:
        name = name.replace(infix, "")
    return name


class Registry:
    """Modules seen alive, and names for their parameters; holds no module alive."""

    def __init__(self) -> None:
        self._modules: dict[int, weakref.ref[nn.Module]] = {}
        self._defined: dict[int, tuple[str, int]] = {}
        self._given: list[weakref.ref[nn.Module]] = []
        self._called: dict[int, tuple[str, int]] = {}
        self.parameter_names: dict[int, str] = {}
        self.module_names: dict[int, str] = {}
        self.variables: dict[int, str] = {}  # id of a root -> the variable that holds it
        self._kinds: dict[str, str] = {}
        self._untrained: dict[int, int] = {}  # id of a module that no optimizer trains -> id of its root

    def add(self, module: nn.Module, defined: tuple[str, int] | None = None) -> None:
        """Note a module, and the user's line that made it."""
        key = id(module)
        known = self._modules.get(key)
        if known is None or known() is not module:
            self._modules[key] = weakref.ref(module)
            self._defined.pop(key, None)
            self._called.pop(key, None)
        if defined is not None and key not in self._defined:
            self._defined[key] = defined

    def was_called(self, module: nn.Module) -> bool:
        """Return whether a module's forward pass has been seen."""
        return id(module) in self._called

    def note_call(self, module: nn.Module, place: tuple[str, int] | None) -> None:
        """Note the user's line that called a module for the first time."""
        self._called[id(module)] = place or ("", 0)

    def give(self, module: nn.Module) -> None:
        """Note a module that the user has named as the model."""
        self._given.append(weakref.ref(module))
        self.add(module)

    def alive(self) -> Iterator[nn.Module]:
        """Yield the noted modules that still exist."""
        for reference in list(self._modules.values()):
            module = reference()
            if module is not None:
                yield module

    def roots(self) -> list[nn.Module]:
        """Return the modules that are no other's child, unwrapped, in the order in which they were made."""
        alive = list(self.alive())
        children = _descendants(alive)
        given = [module for reference in self._given if (module := reference()) is not None]
        tops = [unwrapped(module) for module in [*given, *(m for m in alive if id(m) not in children)]]
        return list({id(module): module for module in tops}.values())

    def name_everything(self, held: Iterable[Tensor]) -> None:
        """Give every parameter and module a name.

        The names are those of ``state_dict``. Where several models are trained, each is prefixed with the variable
        that holds it, or with its class.

        Args:
            held: The parameters that optimizers hold; models that own none of them do not count as trained.
        """
        # Fresh tables: ids are reused once a model is rebuilt.
        self.module_names, self.parameter_names, self._untrained = {}, {}, {}
        held_ids = {id(parameter) for parameter in held}
        roots = self.roots()
        trained = [root for root in roots if any(id(p) in held_ids for p in root.parameters())]
        self._find_variables(trained)
        ordered = trained + [root for root in roots if not any(root is other for other in trained)]
        for position, root in enumerate(ordered):
            alone = len(trained) == 1 and position == 0
            prefix = "" if alone or not trained else self._prefix(root, ordered)
            self._name_root(root, prefix)
            if trained and position >= len(trained):
                self._untrained.update({id(module): id(root) for module in root.modules()})

    def _name_root(self, root: nn.Module, prefix: str) -> None:
        for name, module in root.named_modules():
            full = cleaned(f"{prefix}.{name}" if prefix and name else prefix or name)
            self.module_names.setdefault(id(module), full)
            self._kinds.setdefault(full, type(module).__name__)
            self.add(module)
        for name, parameter in root.named_parameters():
            self.parameter_names.setdefault(id(parameter), cleaned(f"{prefix}.{name}" if prefix else name))

    def _prefix(self, root: nn.Module, roots: list[nn.Module]) -> str:
        variable = self.variables.get(id(root))
        if variable:
            return variable
        kind = type(root).__name__
        twins = [other for other in roots if type(other).__name__ == kind]
        return kind if len(twins) == 1 else f"{kind}{next(i for i, m in enumerate(twins) if m is root)}"

    def _find_variables(self, roots: list[nn.Module]) -> None:
        """Look through the callers' variables for the names that hold the models."""
        wanted = {id(root): root for root in roots if id(root) not in self.variables}
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and wanted:
            if is_user_file(frame.f_code.co_filename):
                for name, value in _visible(frame):
                    if isinstance(value, nn.Module) and wanted.pop(id(unwrapped(value)), None) is not None:
                        self.variables[id(unwrapped(value))] = name
            frame = frame.f_back

    def name_of_module(self, module: nn.Module) -> str | None:
        """Return a module's name, or None when it belongs to no model that is known."""
        return self.module_names.get(id(module))

    def defined(self, module_id: int) -> SourceLine | None:
        """Return the user's line that made a module."""
        place = self._defined.get(module_id)
        return line_of(*place) if place else None

    def lines(self) -> dict[str, SourceLine | None]:
        """Return the user's line that made each module, by name."""
        return {name: self.defined(key) for key, name in self.module_names.items()}

    def infos(self) -> tuple[ModuleInfo, ...]:
        """Return the named modules as values; without models that are neither trained nor called.

        Others may be in memory: of an earlier run in the same notebook, or of another test.
        """
        found: dict[str, ModuleInfo] = {}
        untrained = dict(self._untrained)
        used = {untrained[key] for key in list(self._called) if key in untrained}
        for key, name in list(self.module_names.items()):  # another thread may ask
            if name not in found and untrained.get(key) in (None, *used):
                called = self._called.get(key)
                found[name] = ModuleInfo(
                    name, self._kinds.get(name, ""), self.defined(key), line_of(*called) if called else None
                )
        return tuple(found.values())

    def modules_named(self) -> dict[str, nn.Module]:
        """Return the live modules by name, in the order in which their model defines them."""
        alive = {id(module): module for module in self.alive()}
        return {name: alive[key] for key, name in self.module_names.items() if key in alive}


def _descendants(modules: list[nn.Module]) -> set[int]:
    """Return the ids of all modules below some modules; also below containers that are not among them."""
    found: set[int] = set()
    stack = list(modules)
    while stack:
        for child in stack.pop()._modules.values():
            if child is not None and id(child) not in found:
                found.add(id(child))
                stack.append(child)
    return found


def _visible(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Yield the variables of a frame, and the attributes of the object whose method it runs."""
    local = variables_of(frame)
    yield from local.items()
    owner = local.get("self")
    if owner is not None and not isinstance(owner, nn.Module):
        yield from getattr(owner, "__dict__", {}).items()
