"""How Sphinx builds the documentation; it needs no network."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import meshrt
from meshrt import events, protocol

project = "meshrt"
author = "meshrt contributors"
copyright = "2026, meshrt contributors"
version = release = meshrt.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"meshrt {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Every reference into meshrt has to lead somewhere. Other projects' inventories would need the
# network, so their names, and theirs alone, are let be.
nitpicky = True
OTHERS = (
    *("anyio", "array", "attr", "attrs", "collections", "contextlib", "decimal", "enum"),
    *("msgspec", "os", "pathlib", "re", "ssl", "trio", "trio_websocket", "typing", "websockets"),
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(OTHERS)})(\..*)?"),
    # What only meshrt makes is described where it is used.
    (r"py:class", r"meshrt\..*\._[A-Za-z_.]+|meshrt\._secret\.Secret"),
]


def list_objects(app: object, page: str, source: list[str]) -> None:
    """Describe what a page names: ``[[a module of meshrt.events]]``, its unions, or the tables."""
    source[0] = re.sub(r"^\[\[(\w+)\]\]$", _described, source[0], flags=re.MULTILINE)


def _described(found: re.Match[str]) -> str:
    if found[1] in LISTS:
        return "\n".join(LISTS[found[1]]())
    return "\n".join(_class(node) for node in classes_of(found[1]))


def unions() -> Iterator[str]:
    """Describe each union of ``meshrt.events`` by its members."""
    for name in events.__all__:
        members = get_args(getattr(events, name))
        if members and name != "Maybe":
            yield f".. py:data:: {name}\n\n   One of {', '.join(map(_reference, members))}.\n"


def aliases() -> Iterator[str]:
    """Describe the types of ``meshrt.protocol`` that have no class."""
    members = " or ".join(map(_reference, get_args(protocol.AnyEvent)))
    yield f".. py:data:: AnyEvent\n\n   {members}: whatever goes over the wire.\n"
    roles = " or ".join(f"``{role!r}``" for role in get_args(protocol.Role))
    yield f".. py:data:: Role\n\n   {roles}: whom a protocol plays.\n"


def tables() -> Iterator[str]:
    """Describe the tables of ``meshrt.protocol``, row by row."""
    answers = {
        f"``{kind}``": " or ".join(map(_reference, rule.answers))
        for kind, rule in protocol.ACKNOWLEDGEMENTS.items()
    }
    refusals = {f"``{code}``": f"``{kind}``" for code, kind in protocol.REFUSALS.items()}
    steps = {
        f"{state.name}, {step.value}": then.name
        for (state, step), then in protocol.TRANSITIONS.items()
    }
    yield from _table("ACKNOWLEDGEMENTS", "What answers each command.", answers)
    yield from _table("REFUSALS", "Errors that only one kind of command meets.", refusals)
    yield from _table("TRANSITIONS", "State and step, and the state after it.", steps)
    names = ", ".join(f"``{name}``" for name in sorted(protocol.BETA_FIELDS))
    yield f".. py:data:: BETA_FIELDS\n\n   What a session no longer has at its top: {names}.\n"
    most = f"{protocol.MAX_APPEND_BYTES} bytes of audio in one append"
    yield f".. py:data:: MAX_APPEND_BYTES\n\n   {most}: what the server takes.\n"


def _table(name: str, text: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield f".. py:data:: {name}\n\n   {text}\n"
    yield from (f"   - {left}: {right}" for left, right in rows.items())
    yield ""


def _reference(member: Any) -> str:
    """Refer to a class of ours; show what is another's."""
    if getattr(member, "__name__", None) in events.__all__:
        return f":class:`~meshrt.events.{member.__name__}`"
    return "a mapping" if get_origin(member) is Mapping else f"``{member.__name__}``"


LISTS = {"unions": unions, "aliases": aliases, "tables": tables}


def _class(node: ast.ClassDef) -> str:
    """Describe a class and its fields; autodoc does not see the docstrings of slots."""
    fields = [pair for pair in pairwise(node.body) if isinstance(pair[0], ast.AnnAssign)]
    names = ", ".join(ast.unparse(field.target) for field, _ in fields if not _wire(field))
    wire = [f"   On the wire: ``{name}``.\n" for field, _ in fields if (name := _wire(field))]
    shown = [_field(*pair) for pair in fields if not _wire(pair[0])]
    return "\n".join([f".. autoclass:: {node.name}(*, {names})\n", *wire, *shown])


def _field(field: ast.AnnAssign, doc: ast.stmt) -> str:
    text = " ".join(ast.literal_eval(doc.value).split()) if isinstance(doc, ast.Expr) else ""
    name, kind = ast.unparse(field.target), ast.unparse(field.annotation)
    return f"   - **{name}** (``{kind}``): {text}"


def _wire(field: ast.AnnAssign) -> str:
    """Return the constant that tells a class of the wire, if the field is that."""
    is_constant = ast.unparse(field.annotation).startswith("ClassVar")
    return ast.literal_eval(field.value) if is_constant and field.value else ""


def classes_of(module: str) -> list[ast.ClassDef]:
    """Return the public classes that a module of ``meshrt.events`` defines, in its order."""
    room = Path(events.__file__).parent
    tree = ast.parse(room.joinpath(f"_{module}.py").read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node for node in nodes if node.name in events.__all__]


def setup(app: Any) -> None:
    """Let Sphinx call what is above."""
    app.connect("source-read", list_objects)
