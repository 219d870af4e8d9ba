"""The transforms of the example in the design's document reference, as they stand there."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from harness import run_document

_EXAMPLE = """
pipeline: oil_prices
sources:
  eia:
    type: memory
    schema: {columns: {period: date, series: string, value: "decimal(12,4)?"}}
  ice:
    type: memory
    schema: {columns: {trade_date: date, symbol: string, settle_gbp: "decimal(12,4)", revised_at: timestamptz}}
  fx: {type: memory, schema: {columns: {day: date, usd: "decimal(8,5)"}}}
transforms:
  eia_prices:
    from: eia
    steps:
      - filter: value is not null
      - derive: {publisher: {text: EIA}, crude: "case series when 'RBRTE' then 'brent' else 'wti' end", revised_at: period::timestamptz}
      - rename: {price_date: period, price_usd: value}       # always new: old
      - drop: [series]
  ice_prices:
    from: ice
    steps:
      - join: {to: fx, kind: asof, on: "this.trade_date >= fx.day", add: [usd]}
      - select: {price_date: trade_date, crude: lower(symbol), publisher: {text: ICE}, price_usd: settle_gbp * usd, revised_at: revised_at}
  prices:
    from: [eia_prices, ice_prices]         # a list is a union by name
"""
_DAY = dt.date(2024, 1, 2)
_NOON = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
_DATA = {
    "eia": [
        {"period": _DAY, "series": "RBRTE", "value": Decimal("78.5000")},
        {"period": _DAY, "series": "RWTC", "value": None},
    ],
    "ice": [{"trade_date": _DAY, "symbol": "BRENT", "settle_gbp": Decimal("60.0000"), "revised_at": _NOON}],
    "fx": [{"day": dt.date(2024, 1, 1), "usd": Decimal("1.27000")}],
}


def test_it_compiles_and_its_rows_are_right() -> None:
    ran = run_document(_EXAMPLE, _DATA, "prices")
    assert [(row["publisher"], row["crude"], row["price_date"], float(row["price_usd"])) for row in ran.rows] == [
        ("EIA", "brent", _DAY, 78.5),
        ("ICE", "brent", _DAY, 76.2),
    ]


def test_what_the_filter_proved_holds_to_the_end() -> None:
    kinds = {item.name: item.spelling for item in run_document(_EXAMPLE, _DATA, "prices").schema}
    assert set(kinds) == {"price_date", "price_usd", "publisher", "crude", "revised_at"}
    assert [name for name, kind in kinds.items() if kind.endswith("?")] == []
