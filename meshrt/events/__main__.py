"""``python -m meshrt.events``: the catalogue of all that goes over the wire, for reading.

It is made of the source of the classes, as neither attrs nor Python keeps a field's docstring.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

from . import BETA_NAMES, CLIENT_EVENTS, SERVER_EVENTS, __all__ as _public

_HEAD: Final = """\
All that goes over the wire: {client} events of the client, {server} of the server, and {objects}
objects inside them. A field with a `?` may be absent (UNSET) or null (None)."""
# The base of the events, the event that nobody knows, and the unions that this catalogue is.
_NOT_OF_THE_WIRE: Final = frozenset({"Event", "UnknownEvent", "ClientEvent", "ServerEvent"})


def catalogue() -> str:
    """Return the catalogue of every event and every object, as text.

    An event begins with its wire name, the side that sends it and its class; an object with its
    class and the constants that tell it from others. A line for each field follows, with its
    type and its meaning.
    """
    classes = dict(_classes())
    sides = {"client": CLIENT_EVENTS, "server": SERVER_EVENTS}
    events = [
        "\n".join([_title(wire_name, side, cls.__name__), *_lines(classes.pop(cls.__name__))])
        for side, known in sides.items()
        for wire_name, cls in known.items()
    ]
    objects = ["\n".join([_name(node), *_lines(node)]) for node in classes.values()]
    counts = {side: len(known) for side, known in sides.items()}
    head = _HEAD.format(**counts, objects=len(objects))
    return "\n\n".join([head, *events, *objects, "\n".join(_unions())]) + "\n"


def _trees() -> Iterator[ast.Module]:
    for module in sorted(Path(__file__).parent.glob("_[a-z]*.py")):
        yield ast.parse(module.read_text(encoding="utf-8"))


def _classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for tree in _trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and _is_of_the_wire(node.name):
                yield node.name, node


def _unions() -> Iterator[str]:
    for tree in _trees():
        for node in tree.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as members):
                    if _is_of_the_wire(name) and ast.unparse(node.annotation) == "TypeAlias":
                        yield f"{name} = {ast.unparse(members)}"


def _is_of_the_wire(name: str) -> bool:
    return name in _public and name not in _NOT_OF_THE_WIRE | {"Maybe"}


def _title(wire_name: str, side: str, class_name: str) -> str:
    old = [beta for beta, name in BETA_NAMES.items() if name == wire_name]
    also = f"  (once {', '.join(old)})" if old else ""
    return f"{wire_name}  [{side}]  {class_name}{also}"


def _name(node: ast.ClassDef) -> str:
    constants = [f"{name}={value!r}" for name, value in _constants(node).items()]
    return "  ".join([node.name, "[object]", *constants])


def _constants(node: ast.ClassDef) -> Mapping[str, str]:
    return {
        ast.unparse(field.target): ast.literal_eval(field.value)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and field.value and _is_constant(field)
    }


def _lines(node: ast.ClassDef) -> Iterator[str]:
    yield f"    {_one_line(ast.get_docstring(node) or '')}"
    for field, after in pairwise(node.body):
        # Constants are in the title, and have no docstring.
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            yield f"    {_field(field)}  {_one_line(ast.literal_eval(after.value))}"


def _field(field: ast.AnnAssign) -> str:
    name, kind = ast.unparse(field.target), field.annotation
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Maybe":
        return f"{name}?: {ast.unparse(kind.slice)}"
    return f"{name}: {ast.unparse(kind)}"


def _is_constant(field: ast.AnnAssign) -> bool:
    return ast.unparse(field.annotation).startswith("ClassVar")


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.stdout.write(catalogue())
