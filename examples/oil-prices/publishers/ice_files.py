"""ICE's files as they arrive: a file a year, rows sent twice, corrections the morning after, and a few broken rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum, unique
from functools import cache
from itertools import groupby
from random import Random

from .contracts import MONTHS
from .edition import Edition, stream
from .ice import Settlement, last_trading_day, settlements
from .market import Market

HEADER = (
    b"TRADE DATE,HUB,PRODUCT,STRIP,CONTRACT,CONTRACT TYPE,STRIKE,SETTLEMENT PRICE,NET CHANGE,EXPIRATION DATE,PRODUCT_ID,"
    b"CURRENCY,UNIT,REVISED AT"
)
NEW_HEADER = HEADER.replace(b"NET CHANGE", b"CHANGE") + b",OPEN INTEREST"
FIRST_OF_NEW_HEADER = 2  # the number of a revision
LAST_YEAR_OF_NAMED_MONTHS = 2012
REPEATED_SHARE = 1 / 500
CORRECTED_SHARE = 1 / 400
REVISED_YEAR = 2023
REVISED_SHARE = 1 / 8
SETTLED_AT, CORRECTED_AT = time(18, 30), time(7, 15)
FIRST_REVISION = datetime(2024, 7, 1, 6, tzinfo=UTC)


@unique
class Breakage(StrEnum):
    """What is wrong with a broken row. The first four are no CSV record of this header; the others hold a bad value."""

    MISSING_FIELD = "missing field"
    EXTRA_DELIMITER = "extra delimiter"
    WRONG_ENCODING = "byte that is not UTF-8"
    UNTERMINATED_QUOTE = "unterminated quote at the end of a truncated file"
    TEXT_IN_NUMBER = "text in a number"
    IMPOSSIBLE_DATE = "impossible date"
    THOUSANDS_SEPARATOR = "thousands separator in a number"

    @property
    def is_malformed(self) -> bool:
        return self not in {Breakage.TEXT_IN_NUMBER, Breakage.IMPOSSIBLE_DATE, Breakage.THOUSANDS_SEPARATOR}


LAST = -1
# year -> number of the clean record within that year (from 0) that arrives broken, and how
BROKEN: Mapping[int, Mapping[int, Breakage]] = {
    2005: {250: Breakage.MISSING_FIELD},
    2008: {1_000: Breakage.TEXT_IN_NUMBER, 4_000: Breakage.IMPOSSIBLE_DATE},
    2012: {LAST: Breakage.UNTERMINATED_QUOTE},
    2015: {77: Breakage.WRONG_ENCODING, 5_000: Breakage.EXTRA_DELIMITER},
    2019: {3_333: Breakage.TEXT_IN_NUMBER},
    2021: {1_200: Breakage.MISSING_FIELD},
    2022: dict.fromkeys(range(4_043, 4_055), Breakage.THOUSANDS_SEPARATOR),  # WTI, in cents, on 9 June
}


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read as its publisher meant it. `line` counts from 1, the header included."""

    file: str
    line: int
    breakage: Breakage
    text: bytes
    meant: Settlement


@dataclass(frozen=True, slots=True)
class SettlementFile:
    """One CSV file: header and rows, each ended by a newline (but for a truncated last row).

    `rows` counts every row but the header: clean, repeated, corrected and broken ones.
    """

    name: str
    content: bytes
    rows: int
    repeated: int
    corrected: int
    broken: tuple[BrokenRow, ...]


@dataclass(frozen=True, slots=True)
class SettlementFiles:
    """A file a year, and then the revision files; sorted by name within each kind."""

    years: tuple[SettlementFile, ...]
    revisions: tuple[SettlementFile, ...]

    @property
    def all(self) -> tuple[SettlementFile, ...]:
        return self.years + self.revisions

    @property
    def broken(self) -> tuple[BrokenRow, ...]:
        return tuple(row for file in self.years for row in file.broken)


def settlement_files(edition: Edition, seen: Market) -> SettlementFiles:
    records = settlements(edition.seed, seen)
    revised: list[Settlement] = []
    years = []
    for year, group in groupby(records, key=lambda record: record.day.year):
        of_year = list(group)
        if year == REVISED_YEAR:
            revised = of_year
        years.append(year_file(edition, year, of_year))
    meant = [row.meant for file in years for row in file.broken]
    revisions = (revision_file(edition, number, revised, meant) for number in range(1, edition.revision + 1))
    return SettlementFiles(tuple(years), tuple(file for file in revisions if file.rows))


def year_file(edition: Edition, year: int, records: list[Settlement]) -> SettlementFile:
    name = f"ice-settlements-{year}.csv"
    numbers = stream(edition.seed, f"ice/{year}/deliveries")
    lines, broken, repeated, corrected = [HEADER], [], 0, 0
    breakages = planted(edition, year, len(records))
    for position, record in enumerate(records):
        chance = numbers.random()
        if (breakage := breakages.get(position)) is not None:
            text = broken_line(record, breakage)
            lines.append(text)
            broken.append(BrokenRow(name, len(lines), breakage, text, record))
            continue
        line = printed(record, published(record.day, SETTLED_AT))
        lines.append(line)
        if chance < REPEATED_SHARE:
            lines.append(line)
            repeated += 1
        elif chance < REPEATED_SHARE + CORRECTED_SHARE:
            lines.append(
                printed(corrected_by(record, numbers), published(record.day + timedelta(days=1), CORRECTED_AT))
            )
            corrected += 1
    end = b"" if any(row.breakage is Breakage.UNTERMINATED_QUOTE for row in broken) else b"\n"
    return SettlementFile(name, b"\n".join(lines) + end, len(lines) - 1, repeated, corrected, tuple(broken))


def planted(edition: Edition, year: int, count: int) -> dict[int, Breakage]:
    """The broken rows that a file of `count` records holds; the truncated one only once its year is closed."""
    closed = edition.through >= last_trading_day(year)
    plan = BROKEN.get(year, {})
    return {
        position if position != LAST else count - 1: kind
        for position, kind in plan.items()
        if position != LAST or closed
    }


def revision_file(
    edition: Edition, number: int, candidates: Iterable[Settlement], meant: Iterable[Settlement]
) -> SettlementFile:
    """Revision `number`: some settlements of 2023 with other prices; the first also resends what arrived broken. From
    the second on a column has another name and a new one stands behind the others.
    """
    at = f"{FIRST_REVISION + timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}".encode()
    resent = [printed(record, at) for record in meant] if number == 1 else []
    changed = [printed(record, at) for record in revised(edition.seed, number, candidates)]
    header = HEADER
    if number >= FIRST_OF_NEW_HEADER:
        header = NEW_HEADER
        open_interest = stream(edition.seed, f"ice/revision/{number}/open interest")
        changed = [line + b",%d" % open_interest.randrange(1_000, 400_000) for line in changed]
    content = b"\n".join([header, *resent, *changed]) + b"\n"
    return SettlementFile(f"ice-revision-{number:03d}.csv", content, len(resent) + len(changed), 0, len(changed), ())


def revised(seed: int, number: int, candidates: Iterable[Settlement]) -> Iterator[Settlement]:
    """About one settlement in eight trading days, with a new price; the choice of a day does not depend on later days."""
    numbers = stream(seed, f"ice/revision/{number}")
    for _, group in groupby(candidates, key=lambda record: record.day):
        of_day = list(group)
        chance, choice = numbers.random(), numbers.random()
        new = corrected_by(of_day[int(choice * len(of_day))], numbers)
        if chance < REVISED_SHARE:
            yield new


def corrected_by(record: Settlement, numbers: Random) -> Settlement:
    """Another price for the same day, contract and strip, at least one tick away."""
    tick = 10.0**-record.contract.decimals
    share = numbers.uniform(0.001, 0.01) * (1 if numbers.random() < 0.5 else -1)
    shift = round(record.price * share, record.contract.decimals) or tick
    digits = record.contract.decimals
    return record._replace(price=round(record.price + shift, digits), change=round(record.change + shift, digits))


@cache
def published(day: date, at: time) -> bytes:
    return f"{day.isoformat()}T{at.isoformat()}Z".encode()


def printed(record: Settlement, revised_at: bytes) -> bytes:
    contract = record.contract
    hub = f'"{contract.hub}"' if "," in contract.hub else contract.hub
    return (
        f"{printed_day(record.day, record.day.year)},{hub},{contract.product},{record.strip.label},{contract.symbol},F,,"
        f"{record.price:.5f},{record.change:.5f},{printed_day(record.strip.expiry, record.day.year)},{contract.product_id},"
        f"{contract.currency},{contract.unit},"
    ).encode() + revised_at


@cache
def printed_day(day: date, year: int) -> str:
    """03-Jan-2005 in the files up to 2012, 1/2/2013 (month, day, year, not padded) since."""
    if year <= LAST_YEAR_OF_NAMED_MONTHS:
        return f"{day.day:02d}-{MONTHS[day.month - 1]}-{day.year}"
    return f"{day.month}/{day.day}/{day.year}"


def broken_line(record: Settlement, breakage: Breakage) -> bytes:
    line = printed(record, published(record.day, SETTLED_AT))
    day = printed_day(record.day, record.day.year).encode()
    price = f",{record.price:.5f},".encode()
    match breakage:
        case Breakage.MISSING_FIELD:
            return line.rpartition(b",")[0]
        case Breakage.EXTRA_DELIMITER:
            return line.replace(price, price.replace(b".", b","), 1)
        case Breakage.WRONG_ENCODING:
            return line.replace(b" Futures,", b" \x96 Futures,", 1)
        case Breakage.UNTERMINATED_QUOTE:
            return day + b',"' + record.contract.hub.encode()[:5]
        case Breakage.TEXT_IN_NUMBER:
            return line.replace(price, b",n.a.,", 1)
        case Breakage.IMPOSSIBLE_DATE:
            return line.replace(day, b"31-Feb" + day[-5:], 1)
        case Breakage.THOUSANDS_SEPARATOR:
            return line.replace(price, f',"{record.price:,.5f}",'.encode(), 1)
