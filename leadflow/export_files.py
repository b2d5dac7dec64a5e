"""A folder of exported files: written whole or not at all, with a manifest that proves it.

The manifest holds no instant of its own making, so that the same log and the same leadflow write
the same bytes.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "manifest.json"

FORMAT: Final = "leadflow-export/1"
"""What a manifest says it is; another number means another shape."""

_READ: Final = 1 << 20


class ExportRefused(Exception):
    """The folder cannot be written, or is no export; the message names it and the mend."""


class ColumnsMissing(Exception):
    """Parquet and Arrow need pyarrow, which the extra ``columns`` brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not what the manifest says."""

    path: str
    problem: str
    """``missing``, ``changed`` or ``unknown``: not in the manifest."""


def made_by() -> str:
    """Return which leadflow writes: part of what equal bytes depend on."""
    return f"leadflow {version('leadflow')}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def export_folder(to: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder that becomes *to* when the block ends well, and else vanishes.

    *force* lets it take the place of an export; anything else that lies there is never removed.

    Raises ExportRefused.
    """
    to = to.absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        if not to.is_dir():
            raise ExportRefused(f"{to} is a file: name a folder, with --to")
        if not force:
            raise ExportRefused(f"{to} is not empty: name another folder, or replace it by --force")
        if not is_export(to):
            raise ExportRefused(
                f"{to} holds something else than an export, which --force does not remove:"
                " name another folder"
            )
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    before = to.with_name(f".{to.name}.{os.getpid()}.before")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if to.exists():
            to.rename(before)
        partial.rename(to)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if before.exists() and not to.exists():
            before.rename(to)


def is_export(folder: Path) -> bool:
    """Return whether *folder* holds an export of ours."""
    try:
        read_manifest(folder)
    except ExportRefused:
        return False
    return True


def write_manifest(folder: Path, said: Mapping[str, Any], rows: Mapping[str, int]) -> Any:
    """Write the manifest of the files in *folder* and return it.

    *said* is what it says beside format, maker and files; *rows* tells how many rows a file has,
    by its path in the folder.
    """
    files = [
        {
            "path": path,
            "rows": rows.get(path),
            "bytes": (folder / path).stat().st_size,
            "sha256": sha256_of(folder / path),
        }
        for path in _files(folder)
    ]
    document = {"format": FORMAT, "made_by": made_by(), **said, "files": files}
    (folder / MANIFEST).write_text(
        json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    return document


def read_manifest(folder: Path) -> Any:
    """Return the manifest of an export. Raises ExportRefused."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        why = f"it has no {MANIFEST}" if folder.is_dir() else "there is no such folder"
        raise ExportRefused(
            f"{folder} is no export: {why}; `leadflow export --to DIR` writes one"
        ) from None
    except (OSError, ValueError) as error:
        raise ExportRefused(f"{folder} is no export: {MANIFEST}: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ExportRefused(f"{folder} is no export that this leadflow reads: no {FORMAT}")
    return found


def verify(folder: Path) -> list[Finding]:
    """Return the files of an export that are not as its manifest says. Raises ExportRefused."""
    said = {one["path"]: one["sha256"] for one in read_manifest(folder)["files"]}
    there = set(_files(folder))
    findings = [Finding(path, "unknown") for path in sorted(there - said.keys())]
    for path, sha in said.items():
        if path not in there:
            findings.append(Finding(path, "missing"))
        elif sha256_of(folder / path) != sha:
            findings.append(Finding(path, "changed"))
    return findings


def _files(folder: Path) -> list[str]:
    """Return the files below *folder* but for its manifest, as sorted paths with slashes."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != MANIFEST)


def pyarrow() -> Any:
    """Return pyarrow with its writers. Raises ColumnsMissing."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise ColumnsMissing(
            "Parquet and Arrow files need pyarrow: pip install 'leadflow[columns]';"
            " --format csv needs nothing"
        ) from None
    return pa


PARQUET: Final[Mapping[str, Any]] = {
    "version": "2.6",
    "compression": "zstd",
    "compression_level": 3,
    "data_page_version": "1.0",
    "data_page_size": 1 << 20,
    "write_statistics": True,
    "store_schema": True,
}
"""How Parquet is written, always: another setting is another file."""
