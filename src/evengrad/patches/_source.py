"""One file of source: its syntax tree with positions, what names in it mean, and edits of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from evengrad.errors import PatchError

_BOM = "\ufeff"
_Node = TypeVar("_Node", bound=cst.CSTNode)
Function = cst.FunctionDef | cst.Lambda


@dataclass(frozen=True)
class Import:
    """A name that an import binds, what it stands for, and the function that the import is in."""

    name: str
    target: str
    inside: cst.CSTNode | None
    statement: cst.Import | cst.ImportFrom


@dataclass(frozen=True, eq=False)
class Source:
    """A parsed file. Offsets count characters of ``text``, which has no byte-order mark."""

    path: str
    text: str
    module: cst.Module
    positions: Mapping[cst.CSTNode, CodeRange]
    parents: Mapping[cst.CSTNode, cst.CSTNode]
    nodes: tuple[cst.CSTNode, ...]
    starts: tuple[int, ...]
    imports: tuple[Import, ...]

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a position; lines count from 1."""
        return self.starts[line - 1] + column

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return the offsets of a node's first character and of the one behind its last."""
        place = self.positions[node]
        return self.offset(place.start.line, place.start.column), self.offset(place.end.line, place.end.column)

    def outer_end(self, node: cst.BaseExpression) -> int:
        """Return the offset behind an expression and the parentheses around it, which ``span`` leaves out."""
        end = self.span(node)[1]
        for _ in node.rpar:
            end = self.text.index(")", end) + 1
        return end

    def outer_start(self, node: cst.BaseExpression) -> int:
        """Return the offset of an expression's first character, parentheses around it included."""
        start = self.span(node)[0]
        for _ in node.lpar:
            start = self.text.rindex("(", 0, start)
        return start

    def line(self, node: cst.CSTNode) -> int:
        """Return the line that a node begins on."""
        return self.positions[node].start.line

    def lines(self, node: cst.CSTNode) -> range:
        """Return the lines that a node covers."""
        place = self.positions[node]
        return range(place.start.line, place.end.line + 1)

    def code(self, node: cst.CSTNode) -> str:
        """Return a node's text without the parentheses and comments around it."""
        start, end = self.span(node)
        return self.text[start:end]

    def all(self, kind: type[_Node]) -> list[_Node]:
        """Return the nodes of a kind in the order of the text, outer ones first."""
        return [node for node in self.nodes if isinstance(node, kind)]

    def below(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """Return a node and all that it is made of."""
        found: list[cst.CSTNode] = []
        _collect(node, found)
        return found

    def within(self, node: cst.CSTNode, kind: type[_Node]) -> list[_Node]:
        """Return the nodes of a kind at or below a node, in the order of the text."""
        return [found for found in self.below(node) if isinstance(found, kind)]

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield a node's parent, its parent's parent, and so on."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def nearest(self, node: cst.CSTNode, kind: type[_Node] | tuple[type[_Node], ...]) -> _Node | None:
        """Return the innermost node of a kind that is ``node`` or around it."""
        return next((n for n in (node, *self.ancestors(node)) if isinstance(n, kind)), None)

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the innermost function that a node is in; a function is not in itself."""
        return next((n for n in self.ancestors(node) if isinstance(n, cst.FunctionDef)), None)

    def functions(self, node: cst.CSTNode) -> list[cst.FunctionDef]:
        """Return the functions that a node is in, innermost first."""
        return [n for n in self.ancestors(node) if isinstance(n, cst.FunctionDef)]

    def klass(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """Return the innermost class that a node is in."""
        return next((n for n in self.ancestors(node) if isinstance(n, cst.ClassDef)), None)

    def small(self, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
        """Return the simple statement that a node is or is part of; None in the head of a compound one."""
        for found in (node, *self.ancestors(node)):
            if isinstance(found, cst.BaseSmallStatement):
                return found
            if isinstance(found, cst.BaseCompoundStatement):
                return None
        return None

    def calls_on(self, line: int) -> list[cst.Call]:
        """Return the calls that begin on a line; if there is none, those that cover it, innermost last."""
        begun = [call for call in self.all(cst.Call) if self.head_line(call) == line or self.line(call) == line]
        return begun or [call for call in self.all(cst.Call) if line in self.lines(call)]

    def head_line(self, call: cst.Call) -> int:
        """Return the line of the name that is called, which differs from the call's own in chains over lines."""
        return self.line(call.func.attr) if isinstance(call.func, cst.Attribute) else self.line(call.func)

    def dotted(self, node: cst.CSTNode) -> str | None:
        """Return ``a.b.c`` for a name or a chain of attributes, else None."""
        if isinstance(node, cst.Name):
            return node.value
        if isinstance(node, cst.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr.value}" if base else None
        return None

    def visible(self, at: cst.CSTNode) -> list[Import]:
        """Return the imports that bind names at a place: those of the module and of the functions around it."""
        around = {None, *self.functions(at)}
        if isinstance(at, cst.FunctionDef):
            around.add(at)
        return [found for found in self.imports if found.inside in around]

    def resolve(self, node: cst.CSTNode) -> str | None:
        """Return what a name or attribute chain stands for, ``torch.nn.Sigmoid``; None if imports do not tell."""
        dotted = self.dotted(node)
        if dotted is None:
            return None
        first, _, rest = dotted.partition(".")
        imports = [found for found in self.imports if found.name in {first, "*"}]
        if any(found.inside is not None for found in imports):
            visible = self.visible(node)
            imports = [found for found in imports if found in visible]
        for found in imports:
            if found.name == first:
                return canonical(f"{found.target}.{rest}" if rest else found.target)
        stars = [found.target for found in imports if found.name == "*"]
        if len(stars) == 1 and not rest and stars[0].startswith("torch"):
            return canonical(f"{stars[0]}.{first}")
        return None

    def refer(self, target: str, at: cst.CSTNode) -> str | None:
        """Return an expression for something importable (``torch.nn.ReLU``) from the imports that are visible."""
        best: str | None = None
        for found in self.visible(at):
            if found.name == "*":
                expression = target.rpartition(".")[2] if target.rpartition(".")[0] == found.target else None
            elif target == found.target:
                expression = found.name
            elif target.startswith(found.target + "."):
                expression = found.name + target[len(found.target) :]
            else:
                expression = None
            if expression is not None and (best is None or expression.count(".") < best.count(".")):
                best = expression
        return best

    @property
    def newline(self) -> str:
        """The line end of the file."""
        return self.module.default_newline

    def indent_of(self, line: int) -> str:
        """Return the white space that a line begins with."""
        match = re.match(r"[ \t\f]*", self.text[self.starts[line - 1] :])
        return match[0] if match else ""

    def block(self, lines: Sequence[str], indent: str) -> str:
        """Return lines at an indentation, in the file's own style; theirs is four spaces a level."""
        shown = []
        for line in lines:
            depth = (len(line) - len(line.lstrip(" "))) // 4
            shown.append((indent + self.module.default_indent * depth + line.lstrip(" ")) if line.strip() else "")
        return "".join(line + self.newline for line in shown)

    def line_end(self, line: int) -> int:
        """Return the offset behind a line's end, line break included."""
        return self.starts[line] if line < len(self.starts) else len(self.text)


def canonical(name: str) -> str:
    """Return the short name of what torch offers under two: ``torch.optim.adam.Adam`` is ``torch.optim.Adam``."""
    for package in ("torch.optim", "torch.nn"):
        kept = ("torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.nn.functional", "torch.nn.init")
        if name.startswith((*(f"{k}." for k in kept), "torch.nn.utils.clip_grad_")):
            return name
        if name.startswith("torch.nn.utils"):
            return f"torch.nn.utils.{name.rpartition('.')[2]}" if name.count(".") > 2 else name
        if name.startswith(package + ".") and name.count(".") > 2:
            return f"{package}.{name.rpartition('.')[2]}"
    return name


@lru_cache(maxsize=64)
def parse(path: str, text: str) -> Source:
    """Parse a file.

    Args:
        path: Where it lies; only kept.
        text: What is in it, perhaps with a byte-order mark.

    Returns:
        The parsed source.

    Raises:
        PatchError: The text is not Python that LibCST can read.
    """
    text = text.removeprefix(_BOM)
    try:
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    except (cst.ParserSyntaxError, RecursionError) as error:
        raise PatchError(
            f"{path} cannot be parsed, so no change can be written into it; make the change by hand"
        ) from error
    positions = wrapper.resolve(PositionProvider)
    parents = wrapper.resolve(ParentNodeProvider)
    nodes: list[cst.CSTNode] = []
    _collect(wrapper.module, nodes)
    starts = (0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text)))
    source = Source(path, text, wrapper.module, positions, parents, tuple(nodes), starts, ())
    return Source(path, text, wrapper.module, positions, parents, tuple(nodes), starts, tuple(_imports(source)))


def _collect(node: cst.CSTNode, nodes: list[cst.CSTNode]) -> None:
    nodes.append(node)
    for child in node.children:
        _collect(child, nodes)


def _imports(source: Source) -> Iterator[Import]:
    """Yield what the imports of a file bind."""
    for node in source.nodes:
        if isinstance(node, cst.Import):
            for alias in node.names:
                full = source.dotted(alias.name) or ""
                if alias.asname is not None:
                    yield Import(source.dotted(alias.asname.name) or "", full, source.function(node), node)
                else:
                    first = full.partition(".")[0]
                    yield Import(first, first, source.function(node), node)
        elif isinstance(node, cst.ImportFrom):
            base = (source.dotted(node.module) or "") if node.module is not None else ""
            base = "." * len(node.relative) + base
            if isinstance(node.names, cst.ImportStar):
                yield Import("*", base, source.function(node), node)
                continue
            for alias in node.names:
                name = source.dotted(alias.name) or ""
                bound = (source.dotted(alias.asname.name) or "") if alias.asname is not None else name
                yield Import(bound, f"{base}.{name}", source.function(node), node)
