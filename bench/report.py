"""The figures as a table for people, and the page docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.harness import Result

EPOCH_GATE_MS = 15
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Overhead:
    """What one more epoch costs, in milliseconds: ours, and that of making it durable alone."""

    ours_ms: float
    floor_ms: float

    @classmethod
    def of(cls, medians: Mapping[str, float], epochs: int) -> Overhead:
        each = 1000 / (epochs - 1)
        return cls(
            (medians["penstock, many"] - medians["penstock, one"]) * each,
            (medians["floor, many"] - medians["floor, one"]) * each,
        )

    def __str__(self) -> str:
        beyond = self.ours_ms - self.floor_ms
        met = "" if beyond <= EPOCH_GATE_MS else " **missed**"
        return (
            f"One more epoch of a file with one row, into SQLite: {self.ours_ms:.1f} ms, of which the durable plan, commit and "
            f"seal take a bare program {self.floor_ms:.1f} ms; {beyond:.1f} ms beyond that{met} (gate {EPOCH_GATE_MS} ms)."
        )


def table(results: Sequence[Result], peaks: Sequence[tuple[str, float]], overhead: Overhead | None = None) -> str:
    lines = ["| path | floor | floor s | Penstock s (min / median / max) | x floor | gate | goal | peers (x floor) |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for result in results:
        ours = sorted(sample.seconds for sample in result.samples["penstock"])
        peers = [
            f"{name} {result.ratio(name):.1f}{_claim(result, name)}"
            for name in result.samples
            if name not in {"floor", "penstock"}
        ]
        peers += [f"{name} failed" for name in result.failed]
        ratio = result.ratio("penstock")
        met = "" if ratio <= result.case.gate else " **missed**"
        lines.append(
            f"| {result.case.name} | {result.case.floor} | {result.median('floor'):.2f} "
            f"| {ours[0]:.2f} / {result.median('penstock'):.2f} / {ours[-1]:.2f} "
            f"| {ratio:.2f}{met} | {result.case.gate:.2f} | {result.case.goal:.2f} | {', '.join(peers)} |"
        )
    if peaks:
        lines += [
            "",
            "Peak memory of CSV to Parquet, `run.memory` at 400 MiB: "
            + ", ".join(f"{megabytes:.0f} MB at {size}" for size, megabytes in peaks)
            + ".",
        ]
    if overhead is not None:
        lines += ["", str(overhead)]
    return "\n".join(lines)


def _claim(result: Result, name: str) -> str:
    claim = result.case.claims.get(name)
    return f" ({claim})" if claim else ""


def page(results: Sequence[Result], peaks: Sequence[tuple[str, float]], overhead: Overhead | None) -> None:
    tools = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "deltalake", "pyiceberg", "sqlglot"))
    noise = _noise(results)
    head = f"""# Benchmarks

<!-- written by `make bench` -->

Whole processes, each from its start to its end, run in turns: floor, Penstock, peers, and again. A ratio is the median
divided by the floor's median in the same run; absolute times differ between machines and days, ratios much less.
Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({platform.machine()}, {_processor()}), Python {platform.python_version()},
{tools}. The floors' own samples differed by up to {noise:.0%} from their median: smaller differences than that mean nothing.

"""
    PAGE.write_text(head + table(results, peaks, overhead) + "\n", encoding="utf-8")


def _noise(results: Sequence[Result]) -> float:
    spreads = [
        max(abs(sample.seconds / result.median("floor") - 1) for sample in result.samples["floor"])
        for result in results
    ]
    return max(spreads, default=0.0)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
