"""The jars that sessions need beside pyspark's own: what ``pom.xml`` names, fetched by Maven into a folder, once."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from penstock.disk import ensure_folder, sync_folder, write_durably
from penstock.errors import ConfigError, TransientError
from penstock.structs import Frozen

POM: Final = Path(__file__).with_name("pom.xml")
MANIFEST: Final = "penstock-jars.json"
_VERSIONS: Final = "spark-4.1-delta-4.4.0-iceberg-1.12.0"
_GOAL: Final = "dependency:copy-dependencies"
_LASTING_S: Final = 1800.0
_LAST_LINES: Final = 8
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Fetched(Frozen):
    """``new`` is False where the folder was complete before."""

    folder: Path
    jars: int
    total_bytes: int
    new: bool


def default_folder() -> Path:
    """Where sessions look that name no folder."""
    return Path.home() / ".cache" / "penstock" / f"spark-jars-{_VERSIONS}"


def is_complete(folder: Path) -> bool:
    """Whether it holds all jars of this version of Penstock, by the names and sizes that were noted when it was filled."""
    return _noted(folder) is not None


def fetch(folder: Path) -> Fetched:
    """Fill a folder that is complete already, is not there, is empty, or was filled by another version of Penstock.

    It is filled beside itself and renamed, so that it is never there in part; a failure leaves it as it was. Blocks for as
    long as Maven does: seconds, or minutes where nothing was fetched before.

    Raises ConfigError ENG-407 (no Maven), ENG-409 (the folder cannot be filled); TransientError ENG-408 (Maven fails).
    """
    noted = _noted(folder)
    if noted is not None:
        return Fetched(folder, len(noted), sum(noted.values()), new=False)
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigError(
            "ENG-407",
            "jars are fetched through Maven, and there is none",
            detail="no mvn is on the PATH",
            hint="install Maven, or fill the folder on another machine and copy it",
        )
    try:
        _check_ours(folder)
        ensure_folder(folder.absolute().parent)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.absolute().parent) as work:
            made = Path(work, "jars")
            _copy(maven, made)
            sizes = _note(made)
            _put(made, folder, Path(work, "before"))
    except OSError as error:
        raise _unfilled(folder, f"{error.strerror or error}") from None
    return Fetched(folder, len(sizes), sum(sizes.values()), new=True)


def _noted(folder: Path) -> dict[str, int] | None:
    """Sizes by name, as noted and as they are; None where the two differ, or another version of Penstock has filled it."""
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
        if told["pom"] != _pom_digest():
            return None
        sizes: dict[str, int] = told["jars"]
        alike = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return sizes if alike and sizes else None


def _pom_digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()


def _check_ours(folder: Path) -> None:
    """What somebody else keeps in a folder is not ours to replace."""
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise _unfilled(folder, "it holds other files")


def _unfilled(folder: Path, detail: str) -> ConfigError:
    return ConfigError(
        "ENG-409", f'"{folder}" cannot be filled with jars', detail=detail, hint="name another folder with --out"
    )


def _copy(maven: str, folder: Path) -> None:
    # Maven keeps notes beside the pom: a copy of it, since the package may lie where nothing can be written.
    pom = folder.with_name("pom.xml")
    pom.write_bytes(POM.read_bytes())
    command = [maven, "--batch-mode", "--quiet", "-f", str(pom), _GOAL, f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(  # noqa: S603 -- the user's own Maven, fixed arguments
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LASTING_S,
            check=False,
            cwd=folder.parent,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it did not end within {_LASTING_S / 60:.0f} minutes") from None
    if done.returncode or not list(folder.glob("*.jar")):
        lines = _COLOURS.sub("", done.stdout + done.stderr).strip().splitlines()
        raise _failed("\n".join(lines[-_LAST_LINES:]) or f"it ended with {done.returncode}")


def _failed(detail: str) -> TransientError:
    return TransientError("ENG-408", "Maven could not fetch the jars", detail=detail)


def _note(folder: Path) -> dict[str, int]:
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("*.jar"))}
    told = {"pom": _pom_digest(), "jars": sizes}
    write_durably(folder / MANIFEST, (json.dumps(told, indent=1) + "\n").encode())
    return sizes


def _put(made: Path, folder: Path, aside: Path) -> None:
    """Another process may have put its own there meanwhile: those are as good."""
    if folder.exists() and any(folder.iterdir()):
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        if not is_complete(folder):
            raise
    sync_folder(folder.absolute().parent)
