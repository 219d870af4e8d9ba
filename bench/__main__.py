"""python -m bench [--only files,small] [--rows N] [--repeats N]: prints every sample, writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys

from bench.cases import EPOCHS, SECTIONS, epochs, memory
from bench.harness import measure, medians, once
from bench.report import Overhead, page, table

ROWS = 5_000_000
OTHERS = ("memory", "epochs")  # no ratios


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default=",".join((*SECTIONS, *OTHERS)), help="sections, by comma (%(default)s)")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the largest table (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="times each program runs (%(default)s)")
    parser.add_argument("--peer-repeats", type=int, default=3, help="times each peer runs (%(default)s)")
    parser.add_argument("--dry", action="store_true", help="write no page")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name]
    unknown = sorted(set(chosen) - {*SECTIONS, *OTHERS})
    if unknown:
        parser.error(f"there is no section {unknown[0]}")
    results = []
    for name in chosen:
        cases = SECTIONS[name](given.rows) if name in SECTIONS else ()
        results.extend(measure(case, given.repeats, peer_repeats=given.peer_repeats) for case in cases)
    peaks = []
    for size, command in memory(given.rows) if "memory" in chosen else ():
        sample, words = once(command)
        if sample is None:
            raise SystemExit(words)
        peaks.append((size, sample.megabytes))
    overhead = None
    if "epochs" in chosen:
        overhead = Overhead.of(medians(dict(epochs()), given.repeats), EPOCHS)
    print()
    print(table(results, peaks, overhead))
    whole = not given.dry and set(chosen) == {*SECTIONS, *OTHERS}
    if whole:
        page(results, peaks, overhead)
    return 0 if all(result.ratio("penstock") <= result.case.gate for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
