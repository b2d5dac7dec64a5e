"""Truths about the project itself: what is locked, what is shipped, what the rooms may import."""

import ast
import os
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["consumers", "domain", "leadflow", "projections"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MOST_BASE_PACKAGES = 40

# What a pure function cannot need: clocks, chance, the machine, other processes.
IMPURE = {
    "asyncio",
    "ctypes",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
ASKS_THE_CLOCK = {"now", "today", "utcnow", "uuid1", "uuid4"}


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def pins(lock: Path) -> dict[str, set[str]]:
    """Return package name -> pinned versions; several where Python versions differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def name_in(requirement: str) -> str:
    """Return the package's name as the locks write it."""
    return re.split(r"[\[<>=; ]", requirement)[0].lower().replace("_", "-")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the first part of every module that *tree* imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text()

    assert "://" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        first, *hashes = requirement.replace("\\\n", "\n").splitlines()
        assert re.match(r"[a-z0-9._-]+==\S+( ; .+)? $", first), first
        assert hashes, first
        for line in hashes:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64} ?", line), line


def test_the_locks_name_the_same_versions() -> None:
    everything = pins(ROOT / "requirements/dev.txt")
    for lock in ("base.txt", "postgres.txt"):
        for name, versions in pins(ROOT / "requirements" / lock).items():
            assert versions == everything[name], (lock, name)


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("base.txt", PROJECT["project"]["dependencies"]),
        ("postgres.txt", PROJECT["project"]["optional-dependencies"]["postgres"]),
        ("dev.txt", PROJECT["dependency-groups"]["dev"]),
        ("build.txt", PROJECT["dependency-groups"]["build"]),
        ("build.txt", PROJECT["build-system"]["requires"]),
        ("dbt.txt", PROJECT["dependency-groups"]["dbt"]),
    ],
    ids=["base", "postgres", "dev", "build", "build-system", "dbt"],
)
def test_every_declared_dependency_is_locked(lock: str, declared: list[str]) -> None:
    names = {name_in(requirement) for requirement in declared}

    assert names <= pins(ROOT / "requirements" / lock).keys()


def test_the_base_installation_is_small() -> None:
    assert len(pins(ROOT / "requirements/base.txt")) <= MOST_BASE_PACKAGES


def test_what_the_rooms_import_is_declared() -> None:
    declared = [
        *PROJECT["project"]["dependencies"],
        *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
    ]
    names = {name_in(requirement) for requirement in declared}
    distributions = packages_distributions()
    undeclared = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in python_files(*ROOMS)
        for module in sorted(set(imported(ast.parse(path.read_text()))))
        if module not in sys.stdlib_module_names
        and module not in ROOMS
        and names.isdisjoint(map(name_in, distributions.get(module, [])))
    ]

    assert undeclared == []


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()

    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Dockerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "compose.yaml",
        "docs/adr",
        "pyproject.toml",
        "requirements",
    ],
)
def test_the_house_has(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_a_package_that_says_what_it_is(room: str) -> None:
    tree = ast.parse((ROOT / room / "__init__.py").read_text())

    assert ast.get_docstring(tree)
    assert room in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.mark.parametrize("path", python_files("domain"), ids=lambda path: path.stem)
def test_the_domain_is_pure_and_knows_only_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for module in imported(tree):
        assert module == "domain" or module in sys.stdlib_module_names, module
        assert module not in IMPURE, module
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ASKS_THE_CLOCK, f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input"}, f"line {node.lineno}"


def test_a_silenced_check_gives_its_reason() -> None:
    silenced = re.compile(
        r"#\s*(?:noqa|type:\s*ignore)(?:: ?[A-Z0-9, ]+(?=\s|$)|\[[a-z, -]+\])?(.*)"
    )
    without = []
    for path in python_files(*ROOMS, "tests"):
        with path.open("rb") as file:
            comments = [t for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT]
        for comment in comments:
            found = silenced.search(comment.string)
            if found and not re.search(r"\w{2}", found[1]):
                without.append(f"{path.relative_to(ROOT)}:{comment.start[0]}")

    assert without == []


def test_every_make_command_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in filter(Path.exists, pages):
        # In running text "make" is also a verb, so only code counts.
        for command in re.findall(
            r"(?:`|^\s*(?:\$ )?)make ([a-z]+)", page.read_text(), re.MULTILINE
        ):
            assert command in targets, f"{page.name}: make {command}"


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    assert phony is not None
    assert set(phony[1].split()) == set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci/run"

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert script.read_text().rstrip().endswith("make test")


def test_the_compose_file_holds_no_password() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name, value in re.findall(r"^\s*(\w*PASSWORD\w*): (.+)$", text, re.MULTILINE):
        assert value.startswith("${" + name + ":?")
    for login in re.findall(r"://(\w+):([^@\n]+)@", text):
        assert login[1].startswith("${POSTGRES_PASSWORD:?")


def test_users_and_tests_run_the_same_kafka() -> None:
    tested = re.search(r"<kafka.version>(.+?)<", (ROOT / "tests/kafka/pom.xml").read_text())
    composed = re.search(r"apache/kafka:(\S+)", (ROOT / "compose.yaml").read_text())

    assert tested is not None
    assert composed is not None
    assert tested[1] == composed[1]
