"""IEA's register of crude oil imports: volumes and costs by country, crude and month, with quarters in between."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from random import Random
from typing import NamedTuple

from .contracts import MONTHS
from .edition import stream
from .market import Market
from .reference import IMPORTED, Grade
from .trading_days import month_end

HEADER = "COUNTRY;CRUDE;FLOW;TIME;MEASURE;VALUE;FLAG CODES\n"
FIRST_MONTH = (1992, 1)
LAST_YEAR_OF_NAMED_MONTHS = 2009
NOT_AVAILABLE, NOT_APPLICABLE, CONFIDENTIAL = "..", "x", "c"
PAUSE_SHARE, CONFIDENTIAL_SHARE, MISSING_SHARE, ESTIMATED_SHARE = 0.05, 0.03, 0.01, 0.04


@dataclass(frozen=True, slots=True)
class Importer:
    """A reporting country. Costs are c.i.f. in `cost` a barrel or tonne, volumes in `volume`.

    `late`: it has not reported the latest month of any edition yet.
    """

    name: str
    cost: str
    volume: str
    barrels: int
    late: bool = False


IMPORTERS = (
    Importer("Australia", "USD/bbl", "kbbl", 4_000),
    Importer("Austria", "USD/t", "kt", 1_500),
    Importer("Belgium", "USD/t", "kt", 5_000),
    Importer("Canada", "USD/bbl", "kbbl", 6_000),
    Importer("Czech Republic", "USD/t", "kt", 1_200),
    Importer("Finland", "USD/t", "kt", 2_000),
    Importer("France", "USD/t", "kt", 12_000),
    Importer("Germany", "USD/t", "kt", 15_000),
    Importer("Greece", "USD/bbl", "kt", 3_500, late=True),
    Importer("Hungary", "USD/t", "kt", 1_000),
    Importer("Ireland", "USD/bbl", "kt", 600),
    Importer("Italy", "USD/t", "kt", 13_000),
    Importer("Japan", "USD/bbl", "kbbl", 30_000),
    Importer("Korea", "USD/bbl", "kbbl", 18_000),
    Importer("Netherlands", "USD/t", "kt", 9_000),
    Importer("New Zealand", "USD/bbl", "kbbl", 700, late=True),
    Importer("Poland", "USD/t", "kt", 3_500),
    Importer("Portugal", "USD/bbl", "kt", 2_200),
    Importer("Republic of Türkiye", "USD/bbl", "kt", 4_000, late=True),
    Importer("Spain", "USD/t", "kt", 9_000),
    Importer("Sweden", "USD/bbl", "kt", 3_800),
    Importer("Switzerland", "USD/t", "kt", 800),
    Importer("United Kingdom", "GBP/t", "kt", 9_000),
    Importer("United States", "USD/bbl", "kbbl", 60_000),
)
CRUDES_PER_IMPORTER = 6


class Month(NamedTuple):
    """A whole month of the market: averages of Brent (US dollars a barrel) and of the pound (US dollars)."""

    year: int
    month: int
    brent: float
    pound: float


class Cell(NamedTuple):
    """What one country reports of one crude in one month; None stands for the marker in `marker`."""

    cost: float | None
    volume: float | None
    marker: str
    flag: str


def months(seen: Market) -> list[Month]:
    """Whole months from 1992 to the last one that the market has seen to its end."""
    found = []
    for (year, month), group in groupby(enumerate(seen.days), key=lambda item: (item[1].year, item[1].month)):
        positions = [position for position, _ in group]
        is_whole = seen.days[-1] >= month_end_weekday(year, month)
        if (year, month) >= FIRST_MONTH and is_whole:
            brent = sum(seen.brent[position] for position in positions) / len(positions)
            pound = sum(seen.pound[position] for position in positions) / len(positions)
            found.append(Month(year, month, brent, pound))
    return found


def month_end_weekday(year: int, month: int) -> date:
    last = month_end(year, month)
    return last.replace(day=last.day - max(0, last.weekday() - 4))


def register_csv(seed: int, seen: Market) -> tuple[bytes, int]:
    """The file and its number of rows without the header; (COUNTRY, CRUDE, FLOW, TIME) is unique."""
    known = months(seen)
    rows = [
        row
        for importer in IMPORTERS
        for grade in crudes_of(importer, seed)
        for row in series(importer, grade, seed, known)
    ]
    return (HEADER + "".join(rows)).encode(), len(rows)


def crudes_of(importer: Importer, seed: int) -> list[Grade]:
    chosen = set(stream(seed, f"iea/{importer.name}").sample(range(len(IMPORTED)), CRUDES_PER_IMPORTER))
    return [grade for position, grade in enumerate(IMPORTED) if position in chosen]


def series(importer: Importer, grade: Grade, seed: int, known: list[Month]) -> Iterator[str]:
    """Rows of one country and crude: its costs, then its volumes, each month by month with quarters in between."""
    numbers = stream(seed, f"iea/{importer.name}/{grade.crude}")
    cells = [reported(importer, grade, month, numbers) for month in known]
    if importer.late and cells:
        cells[-1] = Cell(None, None, NOT_AVAILABLE, "")
    head = f"{importer.name};{grade.name}"
    yield from flow(f"{head};IMPCOST", importer.cost, known, [(c.cost, c.marker, c.flag) for c in cells], total=False)
    yield from flow(f"{head};IMPVOL", importer.volume, known, [(c.volume, c.marker, c.flag) for c in cells], total=True)


def reported(importer: Importer, grade: Grade, month: Month, numbers: Random) -> Cell:
    """One month's cell; it draws the same count of random numbers whatever it says, so that months stay independent."""
    chance, cost_noise, volume_noise, flagged = (
        numbers.random(),
        numbers.gauss(0, 0.015),
        numbers.random(),
        numbers.random(),
    )
    for share, marker in (
        (PAUSE_SHARE, NOT_APPLICABLE),
        (CONFIDENTIAL_SHARE, CONFIDENTIAL),
        (MISSING_SHARE, NOT_AVAILABLE),
    ):
        if chance < share:
            return Cell(None, None, marker, "")
        chance -= share
    freight = 1.02
    per_barrel = max(4.0, month.brent * grade.to_brent * (freight + cost_noise))
    barrels = importer.barrels / CRUDES_PER_IMPORTER * (0.4 + 1.2 * volume_noise)
    volume = barrels if importer.volume == "kbbl" else barrels / grade.barrels_per_tonne
    return Cell(cost_in(importer.cost, per_barrel, grade, month), volume, "", "E" if flagged < ESTIMATED_SHARE else "")


def cost_in(measure: str, per_barrel: float, grade: Grade, month: Month) -> float:
    match measure:
        case "USD/bbl":
            return per_barrel
        case "USD/t":
            return per_barrel * grade.barrels_per_tonne
        case "GBP/t":
            return per_barrel * grade.barrels_per_tonne / month.pound
        case _:
            message = f"no country reports in {measure}"
            raise ValueError(message)


def flow(
    head: str, measure: str, known: list[Month], cells: list[tuple[float | None, str, str]], *, total: bool
) -> Iterator[str]:
    """Rows of one flow; a quarter follows its third month: the sum (`total`) or the mean of what was reported."""
    quarter: list[float] = []
    for month, (value, marker, flag) in zip(known, cells, strict=True):
        yield f"{head};{printed_month(month)};{measure};{marker or f'{value:.3f}'};{flag}\n"
        if value is not None:
            quarter.append(value)
        if month.month % 3 == 0:
            shown = f"{sum(quarter) / (1 if total else len(quarter)):.3f}" if quarter else NOT_AVAILABLE
            yield f"{head};{month.month // 3}Q{month.year};{measure};{shown};\n"
            quarter = []


def printed_month(month: Month) -> str:
    """Mar-1994 up to 2009, 2010-03 since."""
    if month.year <= LAST_YEAR_OF_NAMED_MONTHS:
        return f"{MONTHS[month.month - 1]}-{month.year}"
    return f"{month.year}-{month.month:02d}"
