"""Reference data: what a crude is, what each publisher calls it, what a pound costs. Small files, always clean."""

from dataclasses import dataclass
from datetime import date

from .market import Market
from .trading_days import london_holidays

FIRST_RATE = date(1992, 1, 1)


@dataclass(frozen=True, slots=True)
class Grade:
    """A crude (or a product that is traded beside it); `to_brent` is the simulator's own and is not published."""

    crude: str
    name: str
    region: str
    crude_type: str
    api_gravity: float
    barrels_per_tonne: float
    to_brent: float


GRADES = (
    Grade("brent", "Brent Blend", "North Sea", "light sweet", 38.1, 7.53, 1.0),
    Grade("forties", "Forties", "North Sea", "light sweet", 38.7, 7.57, 0.995),
    Grade("ekofisk", "Ekofisk", "North Sea", "light sweet", 38.5, 7.56, 1.01),
    Grade("wti", "West Texas Intermediate", "North America", "light sweet", 39.6, 7.6, 1.0),
    Grade("mars", "Mars Blend", "North America", "medium sour", 28.9, 7.12, 0.94),
    Grade("maya", "Maya", "Latin America", "heavy sour", 21.8, 6.82, 0.83),
    Grade("merey", "Merey", "Latin America", "heavy sour", 16.0, 6.57, 0.78),
    Grade("arab_light", "Arabian Light", "Middle East", "medium sour", 33.4, 7.33, 0.97),
    Grade("arab_heavy", "Arabian Heavy", "Middle East", "heavy sour", 27.7, 7.07, 0.92),
    Grade("basrah_medium", "Basrah Medium", "Middle East", "medium sour", 29.7, 7.17, 0.93),
    Grade("iranian_heavy", "Iranian Heavy", "Middle East", "medium sour", 30.2, 7.19, 0.94),
    Grade("kuwait_export", "Kuwait Export", "Middle East", "medium sour", 30.5, 7.21, 0.95),
    Grade("murban", "Murban", "Middle East", "light sour", 40.2, 7.63, 1.0),
    Grade("urals", "Urals", "Former Soviet Union", "medium sour", 31.7, 7.26, 0.93),
    Grade("cpc_blend", "CPC Blend", "Former Soviet Union", "light sweet", 45.3, 7.87, 0.98),
    Grade("azeri_light", "Azeri Light", "Former Soviet Union", "light sweet", 36.6, 7.45, 1.03),
    Grade("bonny_light", "Bonny Light", "West Africa", "light sweet", 35.4, 7.4, 1.02),
    Grade("girassol", "Girassol", "West Africa", "medium sweet", 31.6, 7.26, 1.0),
    Grade("saharan_blend", "Saharan Blend", "North Africa", "light sweet", 45.5, 7.88, 1.02),
    Grade("es_sider", "Es Sider", "North Africa", "light sweet", 37.0, 7.48, 0.99),
    Grade("minas", "Minas", "Asia Pacific", "light sweet", 35.3, 7.4, 1.01),
    Grade("opec_basket", "OPEC Reference Basket", "World", "basket", 32.7, 7.3, 0.96),
    Grade("gasoil", "Low Sulphur Gasoil", "North West Europe", "product", 36.0, 7.45, 1.16),
)

# publisher and symbol as they stand in that publisher's rows; IEA's symbols are the names of the grades
SYMBOLS = (
    ("EIA", "RWTC", "wti"),
    ("EIA", "RBRTE", "brent"),
    ("OPEC", "ORB", "opec_basket"),
    ("ICE", "B", "brent"),
    ("ICE", "T", "wti"),
    ("ICE", "G", "gasoil"),
)
IMPORTED = tuple(grade for grade in GRADES if grade.crude_type not in {"basket", "product"})


def grades_csv() -> bytes:
    """Columns crude (unique), name, region, crude_type, api_gravity (degrees), barrels_per_tonne."""
    rows = (
        f"{g.crude},{g.name},{g.region},{g.crude_type},{g.api_gravity:.1f},{g.barrels_per_tonne:.2f}\n" for g in GRADES
    )
    return ("crude,name,region,crude_type,api_gravity,barrels_per_tonne\n" + "".join(rows)).encode()


def symbols_csv() -> bytes:
    """Columns publisher, symbol (unique together), crude (stands in grades.csv)."""
    symbols = (*SYMBOLS, *(("IEA", grade.name, grade.crude) for grade in IMPORTED))
    return ("publisher,symbol,crude\n" + "".join(",".join(symbol) + "\n" for symbol in symbols)).encode()


def exchange_rates_csv(seen: Market) -> bytes:
    """Columns day (ISO date, ascending, unique), usd (US dollars for a pound); no weekends and no bank holidays."""
    rows = (
        f"{day},{usd:.4f}\n"
        for day, usd in zip(seen.days, seen.pound, strict=True)
        if day >= FIRST_RATE and day not in london_holidays(day.year)
    )
    return ("day,usd\n" + "".join(rows)).encode()
