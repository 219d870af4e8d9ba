"""The demo: four publishers on loopback, the pipeline over what they serve, and a look at what came of it.

Run by `make demo`, from the beginning each time. Two acts: all that was published until the end of May, with a group of bad
rows that is repaired and sent again; and what a month brought, in files whose columns have changed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PENSTOCK = Path(sys.executable).with_name("penstock")
STARTED_WITHIN_S = 60
PIPELINE = "pipelines/oil_prices.yml"
MADE = (".penstock", "data", "lake", "out")  # by an earlier demo


@dataclass(frozen=True)
class Edition:
    """What the publishers have published: all days through one, and ICE's revisions up to a number."""

    through: str
    revision: int


UNTIL_MAY = Edition("2024-05-31", 0)
UNTIL_JUNE = Edition("2024-06-30", 2)

DOUBLE, ESCAPED = '"', '\\"'

GROUP = "ice/bad_value/SETTLEMENT PRICE"
REPAIR = """SETTLEMENT PRICE=replace("SETTLEMENT PRICE", ',', '')"""


@contextmanager
def publishers(folder: Path, edition: Edition, key: str) -> Iterator[str]:
    """The simulator as a process of its own; the URL that it serves."""
    port_file = folder / "publishers.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "publishers", "--data", str(folder / "data"), "--through", edition.through]
    command += ["--revision", str(edition.revision), "--port-file", str(port_file), "--api-key", key]
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{_port(process, port_file)}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        port_file.unlink(missing_ok=True)


def _port(process: subprocess.Popen[bytes], port_file: Path) -> int:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while not port_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the publishers did not start")
        time.sleep(0.05)
    return int(port_file.read_text(encoding="ascii"))


@dataclass(frozen=True)
class Terminal:
    """Commands in the project's folder, each shown before it is run; the first that fails ends the demo."""

    folder: Path
    url: str
    key: str
    engine: str

    def say(self, text: str) -> None:
        print(f"\n# {text}", flush=True)

    def penstock(self, *arguments: str) -> None:
        print(f"\n$ penstock {' '.join(map(quoted, arguments))}\n", flush=True)
        environment = {**os.environ, "PUBLISHERS_URL": self.url, "PENSTOCK_SECRET_EIA_KEY": self.key}
        if self.engine == "spark":
            environment["PENSTOCK_ENV"] = "spark"
        done = subprocess.run([PENSTOCK, *arguments], cwd=self.folder, env=environment, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)


def quoted(word: str) -> str:
    """As one would type it: in double quotes where the word has single ones."""
    return f'"{word.replace(DOUBLE, ESCAPED)}"' if "'" in word else shlex.quote(word)


def first_act(terminal: Terminal) -> None:
    terminal.say("Four publishers, all that they published until the end of May 2024.")
    terminal.penstock("plan", PIPELINE)
    terminal.penstock("run", PIPELINE)
    terminal.penstock("quality", PIPELINE)
    terminal.penstock("rejects", "list")
    terminal.say("Prices with thousands separators: what would a repair save? Nothing is written yet.")
    terminal.penstock("rejects", "try", PIPELINE, GROUP, "--set", REPAIR)
    terminal.say("They go the whole way through the pipeline, as an epoch of their own.")
    terminal.penstock("rejects", "replay", PIPELINE, GROUP, "--set", REPAIR)


def second_act(terminal: Terminal) -> None:
    terminal.say("A month later. ICE has renamed a column of its files, and added one.")
    terminal.penstock("plan", PIPELINE)
    terminal.say("New files and new days alone; what was corrected since is updated.")
    terminal.penstock("run", PIPELINE)
    terminal.penstock("rejects", "list")


def show_rows(folder: Path) -> None:
    """A few rows of the serving table."""
    query = """
        select publisher, crude, price_date, price_usd, average_7_days, average_30_days from prices
        where publisher = 'EIA' and crude in ('brent', 'wti') order by price_date desc, crude limit 6
    """
    with sqlite3.connect(folder / "out" / "serving.db") as connection:
        rows = connection.execute(query).fetchall()
    print("\nout/serving.db, table prices, the latest of EIA:")
    print(f"{'publisher':10}{'crude':8}{'day':12}{'price':>10}{'7 days':>10}{'30 days':>10}")
    for publisher, crude, day, *prices in rows:
        print(f"{publisher:10}{crude:8}{day:12}" + "".join(f"{float(price):>10.2f}" for price in prices))


def project(folder: Path) -> None:
    """The example's document, in the folder where it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(HERE / "penstock.yml", folder)
    shutil.copytree(HERE / "pipelines", folder / "pipelines", dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=HERE, help="where it runs (%(default)s)")
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb", help="what computes (%(default)s)")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    for name in MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    if folder != HERE:
        project(folder)
    key = secrets.token_hex(16)
    started = time.monotonic()
    for edition, act in ((UNTIL_MAY, first_act), (UNTIL_JUNE, second_act)):
        with publishers(folder, edition, key) as url:
            act(Terminal(folder, url, key, asked.engine))
    show_rows(folder)
    from picture import draw

    picture = draw(folder / "out" / "serving.db", folder / "out" / "prices.svg")
    print(f"\na picture of the prices and the spread: {picture}")
    print(f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
