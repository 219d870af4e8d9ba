"""The package can be run without its script, such as from an environment that is not activated."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_runs_as_a_module() -> None:
    asked = [sys.executable, "-m", "penstock", "version"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("penstock")
