"""What the README and the pages show is true.

The convention, which keeps itself:

- a ``python`` block compiles, ``await`` at its top level included, and what it takes from meshrt
  is there under that name;
- a ``pycon`` block is run, and prints what it says it prints;
- a tutorial has no code of its own: it shows files by ``literalinclude``, and those files are
  tests or are named by a test, which runs them.
"""

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md"))]
TUTORIALS = sorted((DOCS / "tutorial").rglob("*.md"))

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL
)
# One letter of difference and the checks would pass a block by.
KINDS = {"", "bash", "console", "json", "mermaid", "pycon", "python", "text", "toml"}
DIRECTIVES = {"eval-rst", "include", "literalinclude", "note", "toctree", "warning"}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["kind"].strip(), found["text"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_marked(kind: str) -> list[object]:
    return [pytest.param(block, id=block.where) for block in BLOCKS if block.kind == kind]


def check_python(block: Block) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(block.text, block.where, "exec", flags=flags, dont_inherit=True)
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("meshrt"):
            module = importlib.import_module(node.module or "")
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing, f"{block.where}: {node.module} has no {', '.join(missing)}"


def check_session(block: Block) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, {}, block.where, None, block.line)
    assert test.examples, f"{block.where}: nothing to run"
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failed, _ = runner.run(test, out=report.append)
    assert not failed, "".join(report)


def check_inclusion(block: Block) -> None:
    target = block.kind.partition("}")[2].strip()
    path = (block.page.parent / target).resolve()
    assert path.is_file(), f"{block.where}: no file {target}"
    if not path.is_relative_to(ROOT / "tests"):
        name = path.relative_to(ROOT).as_posix()
        tests = set((ROOT / "tests").rglob("*.py")) - {Path(__file__)}
        texts = (test.read_text(encoding="utf-8") for test in tests)
        assert any(name in text for text in texts), f"{block.where}: no test names {name}"


@pytest.mark.parametrize("block", blocks_marked("python"))
def test_python_compiles_and_names_what_is_there(block: Block) -> None:
    check_python(block)


@pytest.mark.parametrize("block", blocks_marked("pycon"))
def test_a_shown_session_prints_what_it_says(block: Block) -> None:
    check_session(block)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_a_tutorial_shows_only_tested_files(page: Path) -> None:
    for block in blocks_of(page):
        assert block.kind not in {"python", "pycon"}, f"{block.where}: use literalinclude"
        if block.kind.startswith("{literalinclude}"):
            check_inclusion(block)


def test_every_block_is_of_a_kind_that_is_known() -> None:
    kinds = {(block.where, block.kind) for block in BLOCKS}
    directives = {(where, kind) for where, kind in kinds if kind.startswith("{")}

    assert {pair for pair in kinds - directives if pair[1] not in KINDS} == set()
    assert {pair for pair in directives if pair[1][1:].split("}")[0] not in DIRECTIVES} == set()


def test_no_page_is_left_out() -> None:
    assert ROOT / "README.md" in PAGES
    assert DOCS / "index.md" in PAGES
    assert any(block.page.name == "README.md" and block.kind == "python" for block in BLOCKS)


@pytest.mark.parametrize(
    ("check", "kind", "text"),
    [
        (check_python, "python", "async with a as b\n"),
        (check_python, "python", "from meshrt import NoSuchName\n"),
        (check_session, "pycon", ">>> 1 + 1\n3\n"),
        (check_session, "pycon", "1 + 1\n"),
        (check_inclusion, "{literalinclude} no_such_file.py", ""),
        (check_inclusion, "{literalinclude} ../noxfile.py", ""),
    ],
)
def test_a_check_finds_what_breaks_it(check: object, kind: str, text: str) -> None:
    block = Block(DOCS / "page.md", 1, kind, text)

    with pytest.raises((AssertionError, SyntaxError)):
        check(block)  # type: ignore[operator]


def test_the_checks_pass_what_is_good() -> None:
    check_python(Block(DOCS / "page.md", 1, "python", "async with a as b:\n    await b\n"))
    check_session(Block(DOCS / "page.md", 1, "pycon", ">>> 1 + 1\n2\n"))
    check_inclusion(Block(DOCS / "page.md", 1, "{literalinclude} ../tests/conftest.py", ""))


def test_blocks_are_found_with_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```python\na\n```\n\n```{literalinclude} b.py\n:lines: 1\n```\n")

    found = [(block.line, block.kind, block.text) for block in blocks_of(page)]

    assert found == [(3, "python", "a\n"), (7, "{literalinclude} b.py", ":lines: 1\n")]
