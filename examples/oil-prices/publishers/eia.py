"""EIA's daily petroleum spot prices: the series, and their rows in the order in which the API hands them out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from .edition import stream
from .market import Market, wander
from .trading_days import american_holidays

GALLONS_PER_BARREL = 42
MISSING_SHARE = 1 / 700

# the day before the expiry of the May contract of 2020, and the day after
REMEMBERED = {("RWTC", date(2020, 4, 20)): "-36.98", ("RWTC", date(2020, 4, 21)): "8.91"}


@dataclass(frozen=True, slots=True)
class Series:
    """One series of route petroleum/pri/spt; `ratio` is its price per barrel as a share of WTI's or Brent's."""

    code: str
    duoarea: str
    area_name: str
    product: str
    product_name: str
    place: str
    first: date
    ratio: float = 1.0

    @property
    def is_crude(self) -> bool:
        return self.product in {"EPCWTI", "EPCBRENT"}

    @property
    def units(self) -> str:
        return "$/BBL" if self.is_crude else "$/GAL"

    @property
    def description(self) -> str:
        unit = "Dollars per Barrel" if self.is_crude else "Dollars per Gallon"
        return f"{self.place} Spot Price FOB ({unit})"


SERIES = (
    Series("RWTC", "YCUOK", "NA", "EPCWTI", "WTI Crude Oil", "Cushing, OK WTI", date(1986, 1, 2)),
    Series("RBRTE", "ZEU", "NA", "EPCBRENT", "UK Brent Crude Oil", "Europe Brent", date(1987, 5, 20)),
    Series(
        "EER_EPMRU_PF4_Y35NY_DPG", "Y35NY", "NEW YORK CITY", "EPMRU", "Conventional Regular Gasoline",
        "New York Harbor Conventional Gasoline Regular", date(1986, 6, 2), 1.22,
    ),
    Series(
        "EER_EPMRU_PF4_RGC_DPG", "RGC", "NA", "EPMRU", "Conventional Regular Gasoline",
        "U.S. Gulf Coast Conventional Gasoline Regular", date(1986, 6, 2), 1.19,
    ),
    Series(
        "EER_EPMRR_PF4_Y05LA_DPG", "Y05LA", "LOS ANGELES", "EPMRR", "Reformulated Regular Gasoline",
        "Los Angeles Reformulated RBOB Regular Gasoline", date(2003, 3, 11), 1.34,
    ),
    Series(
        "EER_EPD2F_PF4_Y35NY_DPG", "Y35NY", "NEW YORK CITY", "EPD2F", "No 2 Fuel Oil / Heating Oil",
        "New York Harbor No. 2 Heating Oil", date(1986, 6, 2), 1.17,
    ),
    Series(
        "EER_EPD2DXL0_PF4_Y35NY_DPG", "Y35NY", "NEW YORK CITY", "EPD2DXL0", "No 2 Diesel Low Sulfur (0-15 ppm)",
        "New York Harbor Ultra-Low Sulfur No 2 Diesel", date(2006, 6, 14), 1.24,
    ),
    Series(
        "EER_EPD2DXL0_PF4_RGC_DPG", "RGC", "NA", "EPD2DXL0", "No 2 Diesel Low Sulfur (0-15 ppm)",
        "U.S. Gulf Coast Ultra-Low Sulfur No 2 Diesel", date(2006, 6, 14), 1.22,
    ),
    Series(
        "EER_EPD2DC_PF4_Y05LA_DPG", "Y05LA", "LOS ANGELES", "EPD2DC", "Carb Diesel",
        "Los Angeles, CA Ultra-Low Sulfur CARB Diesel", date(1996, 4, 17), 1.28,
    ),
    Series(
        "EER_EPJK_PF4_RGC_DPG", "RGC", "NA", "EPJK", "Kerosene-Type Jet Fuel",
        "U.S. Gulf Coast Kerosene-Type Jet Fuel", date(1990, 4, 2), 1.2,
    ),
    Series(
        "EER_EPLLPA_PF4_Y44MB_DPG", "Y44MB", "NA", "EPLLPA", "Propane", "Mont Belvieu, TX Propane", date(1992, 7, 9), 0.56,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of the answer: `period` is an ISO date, `value` the text that EIA prints, None where it has none."""

    period: str
    series: Series
    value: str | None


def observations(seed: int, seen: Market) -> list[Observation]:
    """All rows, ordered by period and then by series; (period, series) is unique."""
    by_series = [series_values(series, seed, seen) for series in SERIES]
    return [
        Observation(day.isoformat(), series, values[position])
        for position, day in enumerate(seen.days)
        if day not in american_holidays(day.year)
        for series, values in zip(SERIES, by_series, strict=True)
        if day >= series.first
    ]


def series_values(series: Series, seed: int, seen: Market) -> list[str | None]:
    """Printed value per day of the market: cents for crudes, a tenth of a cent for products."""
    base = seen.brent if series.product == "EPCBRENT" else seen.wti
    step = 0.002 if series.is_crude else 0.012
    noise = wander(stream(seed, f"eia/{series.code}"), len(base), step=step, pull=0.08)
    misses = stream(seed, f"eia/{series.code}/missing").random
    show = printed_crude if series.is_crude else printed_product
    values = [
        show(price * series.ratio * (1 + wobble)) if misses() > MISSING_SHARE else None
        for price, wobble in zip(base, noise, strict=True)
    ]
    for (code, day), value in REMEMBERED.items():
        if code == series.code and day in seen.position:
            values[seen.position[day]] = value
    return values


printed_crude: Callable[[float], str] = "{:.2f}".format


def printed_product(per_barrel: float) -> str:
    return f"{per_barrel / GALLONS_PER_BARREL:.3f}"
