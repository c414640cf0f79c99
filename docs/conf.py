"""How Sphinx builds the documentation; it needs no network."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import meshrt
from meshrt import events

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
    *("anyio", "array", "attr", "attrs", "collections", "contextlib", "enum", "msgspec"),
    *("os", "pathlib", "ssl", "trio", "typing", "websockets"),
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(OTHERS)})(\..*)?"),
    # What only meshrt makes is described where it is used.
    (r"py:class", r"meshrt\..*\._[A-Za-z.]+|meshrt\._secret\.Secret"),
]


def list_classes(app: object, page: str, source: list[str]) -> None:
    """Describe each class of a module of ``meshrt.events`` where a page says ``[[its name]]``."""
    source[0] = re.sub(r"^\[\[(\w+)\]\]$", _described, source[0], flags=re.MULTILINE)


def _described(found: re.Match[str]) -> str:
    return "\n".join(_class(node) for node in classes_of(found[1]))


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
    app.connect("source-read", list_classes)
