"""The Java that a driver in this process runs on: looked at before it starts, since Spark's own complaint is a stack trace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from penstock.errors import ConfigError

OLDEST: Final = 17
_ANSWER_S: Final = 20.0
_VERSION: Final = re.compile(r'version "(?:1\.)?(\d+)')
_HINT: Final = f"install Java {OLDEST} or newer, and let JAVA_HOME name its folder"


def check_java() -> Path:
    """The program that Spark will start: of JAVA_HOME, else of the PATH. Takes a tenth of a second.

    Raises ConfigError ENG-401 (there is none), ENG-402 (it is too old, or does not say its version).
    """
    java = _found()
    said = _said_by(java)
    version = _VERSION.search(said)
    if version is None:
        raise ConfigError("ENG-402", f'"{java}" does not say which Java it is', detail=said or None, hint=_HINT)
    if int(version[1]) < OLDEST:
        raise ConfigError(
            "ENG-402",
            f"Java {version[1]} is too old for Spark",
            detail=f"{java} is Java {version[1]}, and Spark needs {OLDEST} or newer",
            hint=_HINT,
        )
    return java


def _found() -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        detail = f"JAVA_HOME is {home}, and there is no bin/java in it" if home else "no java is on the PATH"
        raise ConfigError("ENG-401", "Spark needs Java, and there is none", detail=detail, hint=_HINT)
    return Path(found)


def _said_by(java: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- the user's own Java, fixed arguments
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    return (done.stderr + done.stdout).strip()[:500]
