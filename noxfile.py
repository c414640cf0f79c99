"""Everything that is checked, one session each; `nox -s tests` is the one that counts."""

import json
import os
import tarfile
from pathlib import Path

import nox
from nox.command import CommandFailed
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "async_lint", "typing", "tests", "docs"]
# A Python that is not here is skipped with a message; the others still say something.
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
# Not PROJECT["project"]["requires-python"]: only what is named there is promised.
PYTHONS = nox.project.python_versions(PROJECT)

# -P: the installed wheel is tested, not the checkout that lies in the working directory.
# -X dev and -W error: what is never awaited, never closed or on its way out is a failure.
PYTHON = ("python", "-P", "-X", "dev", "-W", "error")
PYTEST = (*PYTHON, "-m", "pytest")
# As many tests at a time as there are cores; a worker gets the same flags only if told so.
WORKERS = f"--tx={os.cpu_count() or 1}*popen//python={' '.join(PYTHON)}"
AT_ONCE = ("--dist=worksteal", WORKERS)

# Off by default: async generators, and loops and scopes that nothing can cancel. ASYNC910 stays
# off: it wants a checkpoint in every private step of a task too.
STRICT_RULES = "ASYNC900,ASYNC911,ASYNC912,ASYNC913"


def group(name: str) -> list[str]:
    """Return the requirements of one of pyproject.toml's dependency groups."""
    return list(nox.project.dependency_groups(PROJECT, name))


def floors() -> list[str]:
    """Return pyproject.toml's direct dependencies, extras included, each at its lowest."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    pairs = [(need.name, at) for need in map(Requirement, lines) for at in need.specifier]
    return sorted({f"{name}=={at.version}" for name, at in pairs if at.operator == ">="})


def sources(folder: str) -> list[str]:
    """Return a folder's Python files, for a tool that takes no folders."""
    return sorted(str(path) for path in Path(folder).rglob("*.py"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on Trio, asyncio and uvloop; arguments go to pytest."""
    session.install(".[all]", *group("test"))
    session.run(*PYTEST, *AT_ONCE, "--hypothesis-profile=ci", *session.posargs)


@nox.session(python=PYTHONS[0])
def tests_min(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    session.install(".[all]", *group("test"), *floors())
    session.run(*PYTEST, *AT_ONCE, "--hypothesis-profile=ci", *session.posargs)


@nox.session(python=PYTHONS[-1])
def tests_long(session: nox.Session) -> None:
    """Run the properties with many examples; takes its time."""
    session.install(".[all]", *group("test"))
    session.run(*PYTEST, *AT_ONCE, "--hypothesis-profile=long", "--timeout=3600", *session.posargs)


@nox.session(python=PYTHONS[0])
def coverage(session: nox.Session) -> None:
    """Report the branches that no test takes; in the sans-IO rooms there is none."""
    session.install(".[all]", *group("test"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    sans_io = "--include=*/meshrt/events/*,*/meshrt/protocol/*"
    session.run("coverage", "report", sans_io, "--fail-under=100")


@nox.session(python=PYTHONS[0])
def bench(session: nox.Session) -> None:
    """Measure beside the clients of others; arguments go to ``python -m benchmarks``."""
    # No group of its own: the tests' counterparts are those that are measured.
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=PYTHONS[0])
def reliability(session: nox.Session) -> None:
    """Measure what is promised when things go wrong; arguments go to ``python -m reliability``."""
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "reliability", *session.posargs)


@nox.session(python=PYTHONS[0])
def autobahn(session: nox.Session) -> None:
    """Run Autobahn's test suite; arguments go to ``python -m conformance``."""
    session.install(".[all]", *group("test"), *group("conformance"))
    suite = str(Path(session.create_tmp()) / "suite")
    try:
        session.run("python", "-m", "conformance.install", suite)
    except CommandFailed:
        session.skip("Autobahn's test suite is not here: the line above says why")
    session.run("python", "-m", "conformance", "--suite", suite, *session.posargs)


@nox.session(python=PYTHONS[0])
def counterparts(session: nox.Session) -> None:
    """Let the clients of others judge our gateway, those that hold back what we need as well."""
    try:
        session.install(".[all]", *group("test"), *group("counterparts"))
    except CommandFailed:
        session.skip("what the session needs can't be installed: the lines above say what")
    live = vendors_live_tests(session)
    # Our tests run on AnyIO's plugin; the vendor's, in a process of their own, on the other.
    session.run(
        *PYTEST, "-p", "no:asyncio", "tests/counterparts", *session.posargs,
        env={"MESHAPI_LIVETESTS": str(live)},
    )  # fmt: skip


def vendors_live_tests(session: nox.Session) -> Path:
    """Fetch what the vendor's SDK has only in its source distribution; return the folder."""
    folder = Path(session.create_tmp()) / "meshapi"
    fetch = ("pip", "download", "--no-deps", "--no-binary=meshapi", "meshapi>=0.1.11")
    session.run(*fetch, "--quiet", f"--dest={folder}", silent=True)
    archive = max(folder.glob("meshapi-*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz") / "livetests"


@nox.session(python=PYTHONS[0])
def chaos(session: nox.Session) -> None:
    """Hold sessions over a bad network; arguments go to ``python -m endurance chaos``."""
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "endurance", "chaos", *session.posargs)


@nox.session(python=PYTHONS[0])
def soak(session: nox.Session) -> None:
    """Hold many sessions, or one long one; arguments go to ``python -m endurance soak``."""
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "endurance", "soak", *session.posargs)


@nox.session(python=PYTHONS[0])
def flakes(session: nox.Session) -> None:
    """Run the tests 20 times in random order; arguments go to ``python -m endurance.flakes``."""
    session.install(".[all]", *group("test"), *group("flakes"))
    session.run("python", "-m", "endurance.flakes", *session.posargs)


@nox.session(python=PYTHONS[0])
def fuzz(session: nox.Session) -> None:
    """Fuzz the decoder for a minute, or as ``-- -max_total_time=3600`` says."""
    session.install(".", *group("fuzz"))
    corpus = Path(session.create_tmp()) / "corpus"
    corpus.mkdir(exist_ok=True)
    for file in sorted(Path("tests/data/wire").glob("*.json")):
        for count, example in enumerate(json.loads(file.read_text("utf-8"))["examples"]):
            corpus.joinpath(f"{file.stem}.{count}").write_text(json.dumps(example), "utf-8")
    limits = session.posargs or ["-max_total_time=60"]
    session.run("python", "-P", "fuzz/fuzz_decode.py", "-rss_limit_mb=512", *limits, str(corpus))


@nox.session(python=PYTHONS[0])
def mutation(session: nox.Session) -> None:
    """Change the sans-IO rooms, one small thing at a time, and count what no test notices."""
    session.install(".[all]", *group("test"), *group("mutation"))
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def async_lint(session: nox.Session) -> None:
    """Check what ruff does not: cancellation, shields, checkpoints, async generators."""
    session.install(*group("async-lint"))
    strict = f"--enable=ASYNC,{STRICT_RULES}"
    session.run("flake8-async", "--anyio", strict, *sources("meshrt"), *sources("examples"))
    # ASYNC124: a fake is async because what it stands for is. The rest are off by default.
    mild = "--disable=ASYNC106,ASYNC124,ASYNC9"
    session.run("flake8-async", "--anyio", "--enable=ASYNC", mild, *sources("tests"))


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types twice, and that every public name has one."""
    session.install(".[all]", *group("typing"))
    session.run("mypy", "meshrt", "noxfile.py")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "meshrt", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation without a network; any warning, any lost reference fails."""
    session.install(".[all]", *group("docs"))
    for builder in ("html", "doctest"):
        session.run(
            "python", "-P", "-m", "sphinx", "-n", "-W", "--keep-going",
            "-b", builder, "docs", f"docs/_build/{builder}",
        )  # fmt: skip
