"""Everything that one edition publishes, made once: files by path, EIA's rows for its API, and the counts of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .edition import Edition
from .eia import Observation, observations
from .ice_files import BrokenRow, settlement_files
from .iea import register_csv
from .market import market
from .opec import BASKET_PATH, basket, basket_xml
from .reference import exchange_rates_csv, grades_csv, symbols_csv

REGISTER_PATH = "/iea/crude-import-register.csv"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows per publisher as they are sent: repeated, corrected and broken ones included, headers not."""

    eia: int
    opec: int
    iea: int
    ice: int

    @property
    def total(self) -> int:
        return self.eia + self.opec + self.iea + self.ice


@dataclass(frozen=True, slots=True)
class Publications:
    """`files` by URL path; below a data folder they stand under the same path. `broken`: ICE's broken rows."""

    edition: Edition
    files: Mapping[str, bytes]
    observations: tuple[Observation, ...]
    broken: tuple[BrokenRow, ...]
    rows: Rows


def publish(edition: Edition) -> Publications:
    seen = market(edition.seed, edition.through)
    register, register_rows = register_csv(edition.seed, seen)
    settled = settlement_files(edition, seen)
    eia_rows = tuple(observations(edition.seed, seen))
    return Publications(
        edition=edition,
        files={
            BASKET_PATH: basket_xml(edition.seed, seen),
            REGISTER_PATH: register,
            "/reference/grades.csv": grades_csv(),
            "/reference/symbols.csv": symbols_csv(),
            "/reference/gbp_usd.csv": exchange_rates_csv(seen),
            **{f"/ice/{file.name}": file.content for file in settled.all},
        },
        observations=eia_rows,
        broken=settled.broken,
        rows=Rows(
            eia=len(eia_rows),
            opec=len(basket(edition.seed, seen)),
            iea=register_rows,
            ice=sum(file.rows for file in settled.all),
        ),
    )


def write_files(publications: Publications, folder: Path) -> None:
    """Writes every file below `folder`, each in one act (a reader sees the old or the new one); a file that already
    holds the same bytes is not touched, one that this edition does not know is left alone.
    """
    for path, content in publications.files.items():
        target = folder / path.removeprefix("/")
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(content)
        part.replace(target)
