"""EIA's API, version 2: what route /v2/petroleum/pri/spt/data answers to a query. Pure: no sockets here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from operator import attrgetter
from typing import Literal

from .eia import SERIES, Observation

ROUTE = "/v2/petroleum/pri/spt/data"
MOST_ROWS = 5000
REGISTER = "https://www.eia.gov/opendata/register.php"
SHORTENED = {
    "warning": "incomplete return",
    "description": (
        "The API can only return 5000 rows in JSON format.  Please consider constraining your request with facet, "
        "start, or end, or using offset to paginate results."
    ),
}

Query = Mapping[str, Sequence[str]]
Json = None | str | int | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `body` is JSON in UTF-8."""

    status: HTTPStatus
    body: bytes


class RefusedError(Exception):
    """The query is wrong; the message says how, in EIA's manner."""


@dataclass(frozen=True, slots=True)
class Request:
    """A checked query. `start` and `end` are ISO dates, both included."""

    with_value: bool
    series: frozenset[str]
    products: frozenset[str]
    start: str
    end: str
    newest_first: bool
    offset: int
    length: int | None


def answer(query: Query, key: str | None, keys: frozenset[str], rows: Sequence[Observation]) -> Answer:
    """One page of `rows` (ordered by period and series). `key` is the caller's, from the query or a header.

    403 with API_KEY_MISSING or API_KEY_INVALID without a right key, 400 for a wrong parameter; else 200, at most 5,000
    rows, with the count of all that match as text in response.total.
    """
    if not key:
        return key_error("API_KEY_MISSING", f"No api_key was supplied. Get one at {REGISTER}")
    if key not in keys:
        return key_error("API_KEY_INVALID", f"An invalid api_key was supplied. Get one at {REGISTER}")
    try:
        request = checked(query)
    except RefusedError as refused:
        return as_json(HTTPStatus.BAD_REQUEST, {"error": str(refused), "code": int(HTTPStatus.BAD_REQUEST)})
    return as_json(HTTPStatus.OK, page(request, query, matching(request, rows)))


def key_error(code: Literal["API_KEY_MISSING", "API_KEY_INVALID"], message: str) -> Answer:
    return as_json(HTTPStatus.FORBIDDEN, {"error": {"code": code, "message": message}})


def not_found(path: str) -> Answer:
    return as_json(HTTPStatus.NOT_FOUND, {"error": f"Not found: {path}", "code": int(HTTPStatus.NOT_FOUND)})


def as_json(status: HTTPStatus, content: Json) -> Answer:
    return Answer(status, json.dumps(content, ensure_ascii=False).encode())


def checked(query: Query) -> Request:
    if (frequency := single(query, "frequency", "daily")) != "daily":
        message = f"Invalid frequency '{frequency}' provided. The only valid frequencies are 'daily'."
        raise RefusedError(message)
    columns = [value for name, values in query.items() if name.startswith("data[") for value in values]
    if wrong := [column for column in columns if column != "value"]:
        message = f"Invalid data '{wrong[0]}' provided. The only valid data are 'value'."
        raise RefusedError(message)
    length = single(query, "length", "")
    return Request(
        with_value=bool(columns),
        series=facet(query, "series", {series.code for series in SERIES}),
        products=facet(query, "product", {series.product for series in SERIES}),
        start=iso_day(query, "start", "0001-01-01"),
        end=iso_day(query, "end", "9999-12-31"),
        newest_first=newest_first(query),
        offset=count(query, "offset"),
        length=count(query, "length") if length else None,
    )


def single(query: Query, name: str, default: str) -> str:
    """The last value of a parameter, as PHP does it."""
    return (query.get(name) or [default])[-1]


def facet(query: Query, name: str, known: set[str]) -> frozenset[str]:
    """The values asked for; none stands for all."""
    asked = frozenset(query.get(f"facets[{name}][]", ()))
    if unknown := sorted(asked - known):
        message = f"Invalid facet value '{unknown[0]}' for facet '{name}'."
        raise RefusedError(message)
    return asked


def iso_day(query: Query, name: str, default: str) -> str:
    given = single(query, name, default)
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        message = f"Invalid {name} '{given}' provided. The format of daily data is YYYY-MM-DD."
        raise RefusedError(message) from None


def count(query: Query, name: str) -> int:
    given = single(query, name, "0")
    if not (given.isascii() and given.isdigit()):
        message = f"Invalid {name} '{given}' provided. It must be a whole number, 0 or more."
        raise RefusedError(message)
    return int(given)


def newest_first(query: Query) -> bool:
    column = single(query, "sort[0][column]", "period")
    direction = single(query, "sort[0][direction]", "asc")
    if column != "period" or direction not in {"asc", "desc"}:
        message = f"Invalid sort '{column} {direction}' provided. The only valid sorts are 'period asc', 'period desc'."
        raise RefusedError(message)
    return direction == "desc"


def matching(request: Request, rows: Sequence[Observation]) -> Sequence[Observation]:
    found = [
        row
        for row in rows
        if request.start <= row.period <= request.end
        and (not request.series or row.series.code in request.series)
        and (not request.products or row.series.product in request.products)
    ]
    return sorted(found, key=attrgetter("period"), reverse=True) if request.newest_first else found


def page(request: Request, query: Query, found: Sequence[Observation]) -> Json:
    wanted = MOST_ROWS if request.length is None else min(request.length, MOST_ROWS)
    rows = found[request.offset : request.offset + wanted]
    is_shortened = (request.length is None or request.length > MOST_ROWS) and len(found) - request.offset > MOST_ROWS
    return {
        "response": {
            **({"warnings": [SHORTENED]} if is_shortened else {}),
            "total": str(len(found)),
            "dateFormat": "YYYY-MM-DD",
            "frequency": "daily",
            "data": [as_record(row, with_value=request.with_value) for row in rows],
            "description": "Crude oil, gasoline, heating oil, diesel, propane, and aviation fuel spot prices. Simulated.",
        },
        "request": {"command": f"{ROUTE}/", "params": {name: list(values) for name, values in query.items()}},
        "apiVersion": "2.1.8",
        "ExcelAddInVersion": "2.1.0",
    }


def as_record(row: Observation, *, with_value: bool) -> Json:
    series = row.series
    return {
        "period": row.period,
        "duoarea": series.duoarea,
        "area-name": series.area_name,
        "product": series.product,
        "product-name": series.product_name,
        "process": "PF4",
        "process-name": "Spot Price FOB",
        "series": series.code,
        "series-description": series.description,
        **({"value": row.value, "units": series.units} if with_value else {}),
    }
