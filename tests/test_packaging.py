"""What a user gets: the public names, the version, the wheel, the extras."""

import ast
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import meshrt

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def public_modules() -> Iterator[str]:
    yield "meshrt"
    for found in pkgutil.walk_packages(meshrt.__path__, "meshrt."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield found.name


PUBLIC = sorted(public_modules())


def names_bound_in(source: str, *, is_package: bool) -> set[str]:
    """Name what a module defines or exports: no private names, nothing imported for its own use.

    A package exports what it takes from its own modules, and everywhere `X as X` is an export.
    """
    bound: set[str] = set()
    for node in statements(ast.parse(source).body):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                bound.add(name)
            case ast.AsyncFunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                bound.add(name)
            case ast.Assign(targets=targets):
                bound |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.ImportFrom(names=names, level=level, module=module):
                own = is_package and level == 1 and module is not None
                bound |= {
                    it.name for it in names if it.asname == it.name or (own and not it.asname)
                }
    return {name for name in bound if not name.startswith("_") or name == "__version__"}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If):
            yield from statements(node.body)
        else:
            yield node


def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def order(name: str) -> tuple[int, str]:
    """Sort as ruff does: CONSTANTS, Classes, functions."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_a_sorted_tuple_of_what_the_module_exports(name: str) -> None:
    module = importlib.import_module(name)

    assert isinstance(module.__all__, tuple)
    assert list(module.__all__) == sorted(set(module.__all__), key=order)
    exported = names_bound_in(source_of(module), is_package=hasattr(module, "__path__"))
    assert set(module.__all__) == exported


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_says_a_public_home(name: str) -> None:
    module = importlib.import_module(name)

    for exported in module.__all__:
        thing = getattr(module, exported)
        if isinstance(thing, type | FunctionType):
            assert "._" not in f".{thing.__module__}", exported


@pytest.mark.parametrize("name", PUBLIC)
def test_dir_names_what_can_be_had(name: str) -> None:
    module = importlib.import_module(name)

    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("from ._a import X as X\nfrom ._a import Y", {"X", "Y"}),
        ("from .._a import X as X\nfrom .._a import publish", {"X"}),
        ("from . import _a\nimport os\nfrom typing import Any", set()),
        ("if TYPE_CHECKING:\n    from ._a import X as X", {"X"}),
        ("class A: ...\ndef f(): ...\nasync def g(): ...\nB: int = 1\nC = 2", set("AfgBC")),
        ("class _A: ...\n_b = 1\n__all__ = ()", set()),
    ],
)
def test_exports_are_told_from_what_is_used_inside(source: str, bound: set[str]) -> None:
    assert names_bound_in(source, is_package=True) == bound


def test_the_changelog_begins_with_what_is_not_released() -> None:
    headings = re.findall(r"^## \[(.+?)\]", CHANGELOG, flags=re.MULTILINE)

    assert headings[0] == "Unreleased"


def test_the_version_is_the_changelogs_newest_or_has_notes_under_unreleased() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)
    unreleased = CHANGELOG.split("## [Unreleased]")[1].split("\n## ")[0]

    if meshrt.__version__ not in released[:1]:
        assert meshrt.__version__ not in released, "an old release's number"
        assert re.search(r"^- ", unreleased, flags=re.MULTILINE), "a new version without notes"


@pytest.mark.parametrize("extra", PROJECT["project"]["optional-dependencies"])
def test_the_readme_names_every_extra(extra: str) -> None:
    assert f"`{extra}`" in README


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_the_whole_library_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tree = {path for path in (ROOT / "meshrt").rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in tree if path.suffix != ".pyc"}

    assert inside == wanted
    assert "meshrt/py.typed" in inside
    assert any(re.fullmatch(r"meshrt/cli/speech/.+\.wav", name) for name in inside)


def test_the_wheel_says_who_it_is(wheel: zipfile.ZipFile) -> None:
    folder = f"meshrt-{meshrt.__version__}.dist-info"
    metadata = wheel.read(f"{folder}/METADATA").decode()

    assert f"\nVersion: {meshrt.__version__}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert b"meshrt = meshrt.cli:main" in wheel.read(f"{folder}/entry_points.txt")


def test_the_command_is_there() -> None:
    module, _, function = PROJECT["project"]["scripts"]["meshrt"].partition(":")

    assert callable(getattr(importlib.import_module(module), function))


def test_no_name_means_one_thing_here_and_another_there() -> None:
    import meshrt.events

    both = {*meshrt.__all__} & {*meshrt.events.__all__}
    differ = {name for name in both if getattr(meshrt, name) is not getattr(meshrt.events, name)}
    # An event is called as on the wire, and the error as AnyIO would call it.
    assert differ == {"SessionClosed"}
