"""The house keeps its rules: who may import whom, and what no module may do.

Each rule is a function from the house to sentences about what breaks it. It is tried twice: on
meshrt, where it must find nothing, and on small bad sources, where it must find something.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import meshrt

# A module imports from its own room and from rooms with a lower number, from nowhere else.
LAYER_OF_ROOM = {
    "_printable": 0,
    "_public": 0,
    "_secret": 0,
    "_version": 0,
    "errors": 0,
    "_extras": 1,
    "_journal": 1,
    "audio": 1,
    "events": 1,
    "protocol": 2,
    "transports": 3,
    "session": 4,
    "client": 5,
    "gateway": 5,
    "sync": 5,
    "cli": 6,
    "testing": 6,
    "__main__": 7,
}
VALUES = {"attrs", "msgspec", "pybase64"}
OUTSIDE_OF_LAYER = {
    0: set[str](),
    1: VALUES,
    2: VALUES,
    3: {"anyio", "attrs", "certifi", "websockets"},
    4: {"anyio", "attrs"},
    5: {"anyio", "attrs", "h11", "httpx"},
    6: {"anyio", "attrs", "h11", "rich"},
}
# Single doors: an adapter is for what it adapts, pytest's fixtures are pytest's, an extra is
# for the module that loads it.
OUTSIDE_OF_MODULE = {
    "meshrt.session._span": {"opentelemetry"},
    "meshrt.session._tracing": {"opentelemetry"},
    "meshrt.gateway._tls": {"trustme"},
    "meshrt.testing.plugin": {"pytest"},
    "meshrt.transports._socks": {"socksio"},
    # The adapter is three nouns: what a session sees, what stands in the stream, the task.
    "meshrt.transports._trio_live": {"trio", "trio_websocket"},
    "meshrt.transports._trio_tap": {"trio"},
    "meshrt.transports.trio_websocket": {"trio", "trio_websocket"},
}
# Ids and "now" are injected, so that the same input gives the same output.
IMPURE = {
    "asyncio", "concurrent", "multiprocessing", "random", "secrets", "select", "selectors",
    "socket", "ssl", "subprocess", "threading", "time", "uuid",
}  # fmt: skip
PURE_UP_TO_LAYER = 2
LAZY = {"httpx", "opentelemetry", "trustme"}
WEBSOCKETS_WITH_IO = {"asyncio", "legacy", "sync", "trio"}

# Who may go into another room by a side door, and why what is there is not for everybody.
FRIENDS = {
    # How a typed value and a JSON object become one another is the business of both rooms; it is
    # public as encode() and decode(), which check as well.
    ("meshrt.protocol._codec", "meshrt.events._base"),
    ("meshrt.protocol._codec", "meshrt.events._plan"),
    ("meshrt.protocol._outgoing", "meshrt.events._plan"),
    # A close code is refused when it is asked for, and not only when it is sent.
    ("meshrt.session._session", "meshrt.transports._close_codes"),
    # Both ends wait for room, write and give up by the same rules, which are no promise to others.
    ("meshrt.gateway._fault_plan", "meshrt.protocol._checks"),
    ("meshrt.gateway._session", "meshrt.protocol._checks"),
    ("meshrt.gateway._session", "meshrt.session._outbox"),
    # The gateway in memory is the gateway but for its doors; only tests have a use for that.
    ("meshrt.testing._memory", "meshrt.gateway._bare"),
    # What refuses a handshake means the same there as to who reads it from a socket.
    ("meshrt.testing._memory", "meshrt.transports._refusal"),
}

MODULE_LINES = 600
FUNCTION_LINES = 40


@dataclass(frozen=True)
class Module:
    name: str
    is_package: bool
    source: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def layer(self) -> int | None:
        return LAYER_OF_ROOM.get(self.room)

    def at(self, node: ast.AST, sentence: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {sentence}"


House = Mapping[str, Module]
Rule = Callable[[House], Iterator[str]]


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def build(sources: Iterable[tuple[str, bool, str]]) -> House:
    return {name: Module(name, pkg, text, ast.parse(text)) for name, pkg, text in sources}


@cache
def meshrt_as_it_is() -> House:
    root = Path(meshrt.__file__).parent

    def sources() -> Iterator[tuple[str, bool, str]]:
        for path in sorted(root.rglob("*.py")):
            parts = ("meshrt", *path.relative_to(root).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            yield name, is_package, path.read_text(encoding="utf-8")

    return build(sources())


@dataclass(frozen=True)
class Import:
    node: ast.stmt
    target: str
    at_import_time: bool


def imports(module: Module, house: House) -> Iterator[Import]:
    eager = {id(node) for node in eager_nodes(module.tree)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node, alias.name, id(node) in eager)
        elif isinstance(node, ast.ImportFrom):
            for target in targets(node, module, house):
                yield Import(node, target, id(node) in eager)


def targets(node: ast.ImportFrom, module: Module, house: House) -> set[str]:
    base = node.module or ""
    if node.level:
        package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
        kept = package[: len(package) - node.level + 1]
        base = ".".join([*kept, *([node.module] if node.module else [])])
    named = {f"{base}.{alias.name}" for alias in node.names}
    return {name if name in house else base for name in named}


def eager_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the module is imported: no functions, nothing for type checkers."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and last_name(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from eager_nodes(child)


def last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return last_name(func)
    return ""


def imports_go_down(house: House) -> Iterator[str]:
    for module in house.values():
        for found in imports(module, house):
            if not f"{found.target}.".startswith("meshrt.") or module.name == "meshrt":
                continue
            if found.target == "meshrt":
                yield module.at(found.node, "imports the front door; name the room")
                continue
            there = LAYER_OF_ROOM.get(room_of(found.target))
            if module.layer is None or there is None:
                yield module.at(found.node, "a room is not in LAYER_OF_ROOM")
            elif room_of(found.target) != module.room and there >= module.layer:
                yield module.at(found.node, f"layer {module.layer} imports layer {there}")


def rooms_are_entered_by_the_door(house: House) -> Iterator[str]:
    for module in house.values():
        for found in imports(module, house):
            _, _, inside = found.target.removeprefix("meshrt.").partition(".")
            is_private = found.target.startswith("meshrt.") and inside.startswith("_")
            if not is_private or room_of(found.target) == module.room:
                continue
            if (module.name, found.target) not in FRIENDS:
                yield module.at(found.node, f"reaches into {found.target}")


def imports_inside_are_relative(house: House) -> Iterator[str]:
    for module in house.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                if any(f"{alias.name}.".startswith("meshrt.") for alias in node.names):
                    yield module.at(node, "imports meshrt by its full name")
            elif isinstance(node, ast.ImportFrom) and not node.level:
                if f"{node.module}.".startswith("meshrt."):
                    yield module.at(node, "imports meshrt by its full name")
                if node.module == "__future__":
                    yield module.at(node, "needs no __future__")


def no_cycles(house: House) -> Iterator[str]:
    graph = {
        module.name: {found.target for found in imports(module, house) if found.target in house}
        for module in house.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"a cycle: {' <- '.join(error.args[1])}"


def outside_imports_are_earned(house: House) -> Iterator[str]:
    for module in house.values():
        layer = -1 if module.layer is None else module.layer
        earned = OUTSIDE_OF_LAYER.get(layer, set()) | OUTSIDE_OF_MODULE.get(module.name, set())
        for found in imports(module, house):
            package = found.target.partition(".")[0]
            if package != "meshrt" and package not in sys.stdlib_module_names | earned:
                yield module.at(found.node, f"imports {package}, which is not for layer {layer}")
            if package in LAZY and found.at_import_time:
                yield module.at(found.node, f"imports {package} before it is needed")


def the_core_is_pure(house: House) -> Iterator[str]:
    for module in house.values():
        is_core = module.layer is not None and module.layer <= PURE_UP_TO_LAYER
        forbidden = IMPURE if is_core else {"asyncio"}
        for found in imports(module, house):
            if found.target.partition(".")[0] in forbidden:
                yield module.at(found.node, f"imports {found.target}")


def websockets_without_io(house: House) -> Iterator[str]:
    for module in house.values():
        for found in imports(module, house):
            package, _, inside = found.target.partition(".")
            if package != "websockets":
                continue
            if not inside or inside.partition(".")[0] in WEBSOCKETS_WITH_IO:
                yield module.at(found.node, "imports more of websockets than its sans-IO half")


def shields_end(house: House) -> Iterator[str]:
    for module in house.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and is_shielded(node) and not has_deadline(node):
                yield module.at(node, "a shield without a finite deadline")
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                aims = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(aim, ast.Attribute) and aim.attr == "shield" for aim in aims):
                    yield module.at(node, "a shield that is put up later")


def is_shielded(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "shield"]
    if last_name(call) in {"move_on_after", "fail_after"}:
        given += call.args[1:2]
    return any(not (isinstance(value, ast.Constant) and value.value is False) for value in given)


def has_deadline(call: ast.Call) -> bool:
    name = last_name(call)
    word = {"move_on_after": "delay", "fail_after": "delay", "CancelScope": "deadline"}.get(name)
    given = [keyword.value for keyword in call.keywords if keyword.arg == word]
    if word == "delay":
        given += call.args[:1]
    return bool(given) and not any(is_endless(value) for value in given)


def is_endless(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return value.value is None
    return last_name(value) == "inf" or ast.unparse(value) in {"float('inf')", "float('infinity')"}


def no_async_generators(house: House) -> Iterator[str]:
    for module in house.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.GeneratorExp):
                if any(clause.is_async for clause in node.generators):
                    yield module.at(node, "an async generator expression")
            elif isinstance(node, ast.AsyncFunctionDef) and yields(node):
                # AnyIO's plugin closes a fixture's generator in the task that began it.
                decorators = {last_name(each) for each in node.decorator_list}
                if not decorators & {"asynccontextmanager", "fixture"}:
                    yield module.at(node, f"{node.name} is an async generator")


def yields(node: ast.AST) -> bool:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Yield) or yields(child):
            return True
    return False


def nothing_is_long(house: House) -> Iterator[str]:
    for module in house.values():
        if (lines := len(module.source.splitlines())) > MODULE_LINES:
            yield module.at(module.tree, f"{lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = body_lines(node)
                if lines > FUNCTION_LINES:
                    yield module.at(node, f"{node.name} has {lines} lines")


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def nothing_is_hushed_up(house: House) -> Iterator[str]:
    for module in house.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler):
                if is_broad(node.type) and all(map(is_nothing, node.body)):
                    yield module.at(node, "catches everything and says nothing")
            elif isinstance(node, ast.Call) and last_name(node) == "suppress":
                hushed = any(map(is_broad, node.args))
                if hushed:
                    yield module.at(node, "suppresses everything")


def is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(is_broad(each) for each in kind.elts)
    return kind is None or last_name(kind) in {"Exception", "BaseException"}


def is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


RULES: tuple[Rule, ...] = (
    imports_go_down,
    imports_inside_are_relative,
    no_cycles,
    no_async_generators,
    nothing_is_hushed_up,
    nothing_is_long,
    outside_imports_are_earned,
    rooms_are_entered_by_the_door,
    shields_end,
    the_core_is_pure,
    websockets_without_io,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule: Rule) -> None:
    assert list(rule(meshrt_as_it_is())) == []


def test_every_room_of_the_house_has_a_layer() -> None:
    rooms = {module.room for module in meshrt_as_it_is().values()} - {""}

    assert rooms <= LAYER_OF_ROOM.keys()


def test_every_friend_still_calls() -> None:
    house = meshrt_as_it_is()
    calls = {(name, found.target) for name in house for found in imports(house[name], house)}

    assert calls >= FRIENDS


def house_with(name: str, source: str) -> House:
    """Build a small house: some empty rooms, and one module that is not empty."""
    empty = ("meshrt.errors", "meshrt.events._base", "meshrt.client", "meshrt.gateway._server")
    sources = [("meshrt", True, ""), ("meshrt.events", True, "from ._base import X")]
    return build([*sources, *((each, False, "") for each in empty), (name, False, source)])


LONG_BODY = "\n".join(["def f():", '    """Say."""', *["    g()"] * 41])
LONG_DOCSTRING = "\n".join(["def f():", '    """Say.', *["    more"] * 60, '    """', "    g()"])

BAD = [
    (imports_go_down, "meshrt.events._x", "from ..protocol import decode"),
    (imports_go_down, "meshrt.events._x", "from ..audio import chunks"),
    (imports_go_down, "meshrt.events._x", "def f():\n    from ..client import MeshAPI"),
    (imports_go_down, "meshrt.client", "if TYPE_CHECKING:\n    from .gateway import Gateway"),
    (imports_go_down, "meshrt.errors", "from . import client"),
    (imports_go_down, "meshrt.session._x", "from .. import MeshAPI"),
    (imports_go_down, "meshrt.agent", "from .errors import MeshError"),
    (imports_inside_are_relative, "meshrt.session._x", "from meshrt.errors import MeshError"),
    (imports_inside_are_relative, "meshrt.session._x", "import meshrt"),
    (imports_inside_are_relative, "meshrt.session._x", "from __future__ import annotations"),
    (no_cycles, "meshrt.events._base", "if TYPE_CHECKING:\n    from . import Event"),
    (no_cycles, "meshrt.events._base", "def f():\n    from .. import events"),
    (no_async_generators, "meshrt.client", "async def f():\n    yield 1"),
    (no_async_generators, "meshrt.client", "async def f():\n    x = lambda: 1\n    y = yield"),
    (no_async_generators, "meshrt.client", "async def f(a):\n    g(x async for x in a)"),
    (nothing_is_hushed_up, "meshrt.client", "try:\n    f()\nexcept Exception:\n    pass"),
    (nothing_is_hushed_up, "meshrt.client", "try:\n    f()\nexcept (OSError, Exception): ..."),
    (nothing_is_hushed_up, "meshrt.client", "try:\n    f()\nexcept:\n    pass"),
    (nothing_is_hushed_up, "meshrt.client", "with contextlib.suppress(BaseException): f()"),
    (nothing_is_long, "meshrt.client", "\n" * 601),
    (nothing_is_long, "meshrt.client", LONG_BODY),
    (outside_imports_are_earned, "meshrt.errors", "import attrs"),
    (outside_imports_are_earned, "meshrt.events._x", "import anyio"),
    (outside_imports_are_earned, "meshrt.session._x", "from websockets.client import X"),
    (outside_imports_are_earned, "meshrt.session._x", "import trio"),
    (outside_imports_are_earned, "meshrt.transports._websocket", "import trio_websocket"),
    (outside_imports_are_earned, "meshrt.cli._x", "def f():\n    import numpy"),
    (outside_imports_are_earned, "meshrt.client", "import httpx"),
    (outside_imports_are_earned, "meshrt.client", "class A:\n    import httpx"),
    (outside_imports_are_earned, "meshrt.client", "def f():\n    import opentelemetry"),
    (outside_imports_are_earned, "meshrt.session._span", "import opentelemetry.trace"),
    (rooms_are_entered_by_the_door, "meshrt.protocol._x", "from ..events._base import X"),
    (rooms_are_entered_by_the_door, "meshrt.protocol._x", "from ..events import _base"),
    (
        rooms_are_entered_by_the_door,
        "meshrt.cli._x",
        "def f():\n    from ..events import _base",
    ),
    (rooms_are_entered_by_the_door, "meshrt.client", "from .events._base import X"),
    (shields_end, "meshrt.client", "with CancelScope(shield=True): f()"),
    (shields_end, "meshrt.client", "with anyio.CancelScope(shield=flag): f()"),
    (shields_end, "meshrt.client", "with CancelScope(deadline=math.inf, shield=True): f()"),
    (shields_end, "meshrt.client", "with anyio.move_on_after(None, shield=True): f()"),
    (shields_end, "meshrt.client", "with anyio.fail_after(float('inf'), True): f()"),
    (shields_end, "meshrt.client", "with something(shield=True): f()"),
    (shields_end, "meshrt.client", "scope.shield = True"),
    (the_core_is_pure, "meshrt.protocol._x", "import time"),
    (the_core_is_pure, "meshrt.protocol._x", "def f():\n    from uuid import uuid4"),
    (the_core_is_pure, "meshrt.session._x", "import asyncio.events"),
    (
        websockets_without_io,
        "meshrt.transports._x",
        "import websockets.sync.client",
    ),
    (websockets_without_io, "meshrt.transports._x", "import websockets"),
    (websockets_without_io, "meshrt.transports._x", "from websockets import connect"),
]

GOOD = [
    ("meshrt.client", "from .errors import MeshError\nfrom .events import Event\nimport anyio"),
    ("meshrt.client", "def f():\n    import httpx"),
    ("meshrt.client", "if TYPE_CHECKING:\n    import httpx"),
    ("meshrt.gateway._x", "from ._server import Server\nfrom ..events import Event\nimport h11"),
    ("meshrt.events._x", "from . import _base\nimport attrs\nimport math"),
    ("meshrt.gateway._session", "from ..session._outbox import Outbox"),
    ("meshrt.client", "from ._secret import Secret"),
    ("meshrt.transports.trio_websocket", "import trio\nfrom trio_websocket import X"),
    ("meshrt.transports._x", "from websockets.client import ClientProtocol\nimport ssl"),
    ("meshrt.client", "with anyio.move_on_after(1, shield=True): f()"),
    ("meshrt.client", "with anyio.fail_after(delay=CLOSE_TIMEOUT_S, shield=True): f()"),
    ("meshrt.client", "with CancelScope(deadline=current_time() + 1, shield=True): f()"),
    ("meshrt.client", "with CancelScope(shield=False): f()"),
    ("meshrt.client", "@contextlib.asynccontextmanager\nasync def f():\n    yield 1"),
    ("meshrt.client", "async def f():\n    def g():\n        yield 1\n    return g"),
    ("meshrt.client", "try:\n    f()\nexcept OSError:\n    pass"),
    ("meshrt.client", "try:\n    f()\nexcept Exception as error:\n    log(error)"),
    ("meshrt.client", LONG_DOCSTRING),
]


@pytest.mark.parametrize(("rule", "name", "source"), BAD)
def test_a_rule_finds_what_breaks_it(rule: Rule, name: str, source: str) -> None:
    assert list(rule(house_with(name, source))) != []


@pytest.mark.parametrize(("name", "source"), GOOD)
def test_no_rule_minds_what_is_good(name: str, source: str) -> None:
    house = house_with(name, source)

    assert [sentence for rule in RULES for sentence in rule(house)] == []


def test_every_rule_is_seen_to_fail() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


@cache
def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and name the top-level packages that it loads."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True
    )
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize("package", ["anyio", "websockets", "ssl", "socket", "asyncio"])
def test_the_protocol_loads_no(package: str) -> None:
    assert package not in loaded_by("import meshrt.protocol")


@pytest.mark.parametrize(
    "package", ["trio", "httpx", "numpy", "rich", "h11", "opentelemetry", "websockets"]
)
def test_the_front_door_loads_no(package: str) -> None:
    assert package not in loaded_by("import meshrt")


def test_what_is_loaded_is_seen() -> None:
    assert "colorsys" in loaded_by("import colorsys")
