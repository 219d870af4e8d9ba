"""The demo: four publishers on loopback, the pipeline over what they serve, and a look at what came of it.

Run by `make demo`; with `--revision 2` the publishers have revised some prices since.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PENSTOCK = Path(sys.executable).with_name("penstock")
STARTED_WITHIN_S = 60


@contextmanager
def publishers(folder: Path, revision: int, key: str) -> Iterator[str]:
    """The simulator as a process of its own; the URL that it serves."""
    port_file = folder / "publishers.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "publishers", "--data", str(folder / "data"), "--revision", str(revision)]
    command += ["--port-file", str(port_file), "--api-key", key]
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


def penstock(folder: Path, *arguments: str, url: str = "", key: str = "") -> None:
    environment = {**os.environ, "PUBLISHERS_URL": url, "PENSTOCK_SECRET_EIA_KEY": key}
    done = subprocess.run([PENSTOCK, *arguments], cwd=folder, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


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
    parser.add_argument("--revision", type=int, default=1, help="which revision the publishers have (%(default)s)")
    given = parser.parse_args()
    folder = given.folder.resolve()
    if folder != HERE:
        project(folder)
    key = secrets.token_hex(16)
    started = time.monotonic()
    with publishers(folder, given.revision, key) as url:
        for command in ("plan", "run", "quality"):
            print(f"\n$ penstock {command} pipelines/oil_prices.yml\n", flush=True)
            penstock(folder, command, "pipelines/oil_prices.yml", url=url, key=key)
    print("\n$ penstock rejects list\n", flush=True)
    penstock(folder, "rejects", "list")
    show_rows(folder)
    from picture import draw

    picture = draw(folder / "out" / "serving.db", folder / "out" / "prices.svg")
    print(f"\na picture of the prices and the spread: {picture}")
    print(f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
