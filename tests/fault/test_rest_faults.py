"""The rest source against services that are broken, hostile or merely odd: a clear error or a reject, nothing lost."""

import json
import os
import signal
import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Contract, Partition, ScanRequest
from penstock.connectors.rest.params import RestSourceParams
from penstock.connectors.rest.source import RestSource
from penstock.errors import ConfigError, DataError, InternalError, PenstockError, TransientError
from penstock.testing.clock import FakeClock
from penstock.testing.web import Reply, WebServer
from penstock.types import Schema

KEY = "k3y-that-nobody-sees"
ALL = Partition()


def reply(value, **more):
    return Reply(json.dumps(value).encode(), headers={"Content-Type": "application/json", **more})


def numbered(*numbers):
    return [{"id": number} for number in numbers]


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        server = WebServer(answer).__enter__()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def source_of(tmp_path):
    made = []

    def make(server, *, schema=None, clock=None, contract=None, connection=None, **params):
        given = {"base_url": server.url, "allow_private": ["127.0.0.1"], "retries": {"attempts": 2}}
        checked = RestSourceParams.model_validate(
            {"type": "rest", "connection": {**given, **(connection or {})}, "path": "/items", **params}
        )
        stated = Contract(Schema.of(schema), **(contract or {})) if schema else None
        scratch = tmp_path / f"scratch-{len(made)}"
        scratch.mkdir()
        source = RestSource(checked, Context("items", Path, scratch, clock or FakeClock(), contract=stated))
        made.append(source)
        return source

    yield make
    for source in made:
        source.close()
        source.close()


def chunks(source, position=None, columns=None):
    rows = source.scan(ScanRequest(ALL, None, source.latest(ALL) if position is None else position, columns))
    return list(rows.open())


def rows_of(source, position=None, columns=None):
    return [row for chunk in chunks(source, position, columns) for row in chunk.batch.to_pylist()]


def rejects_of(source, position=None, columns=None):
    return [row for chunk in chunks(source, position, columns) if chunk.rejects for row in chunk.rejects.to_pylist()]


def refused(source, code):
    with pytest.raises(PenstockError) as caught:
        rows_of(source)
    assert caught.value.code == code, str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- paging


def listing(total, cap=1000):
    """A service with offset and limit; numbers from 0."""

    def answer(got):
        start, size = int(got.parameter("offset", "0")), min(int(got.parameter("limit", "10")), cap)
        return reply({"total": str(total), "data": numbered(*range(start, min(start + size, total)))})

    return answer


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("told", [True, False])
def test_offsets_read_every_record_once_and_in_order(serve, source_of, total, told):
    server = serve(listing(total))
    paging = {"type": "offset", "size": 10, **({"total": "total"} if told else {})}
    source = source_of(server, schema={"id": "int64"}, records="data", paginate=paging)
    assert [row["id"] for row in rows_of(source)] == list(range(total))


@pytest.mark.parametrize("told", [True, False])
def test_a_server_that_sends_shorter_pages_than_asked_for_loses_nothing(serve, source_of, told):
    server = serve(listing(25, cap=4))
    paging = {"type": "offset", "size": 10, **({"total": "total"} if told else {})}
    source = source_of(server, records="data", paginate=paging)
    assert [row["id"] for row in rows_of(source)] == list(range(25))


@pytest.mark.parametrize("told", [{}, {"total": "meta.total"}, {"pages": "meta.pages"}])
def test_page_numbers_read_every_record_once(serve, source_of, told):
    def answer(got):
        start = (int(got.parameter("page")) - 1) * 3
        meta = {"total": 8, "pages": 3}
        return reply({"meta": meta, "rows": numbered(*range(start, min(start + 3, 8)))})

    source = source_of(serve(answer), records="rows", paginate={"type": "page", **told})
    assert [row["id"] for row in rows_of(source)] == list(range(8))


def test_pages_are_fetched_at_the_same_time_where_their_number_is_known(serve, source_of):
    together = threading.Barrier(4, timeout=10)

    def answer(got):
        offset = int(got.parameter("offset"))
        if offset:
            together.wait()
        return reply({"total": 50, "data": numbered(*range(offset, offset + 10))})

    source = source_of(serve(answer), records="data", paginate={"type": "offset", "size": 10, "total": "total"})
    assert [row["id"] for row in rows_of(source)] == list(range(50))


def test_cursors_are_followed_to_their_end(serve, source_of):
    def answer(got):
        at = int(got.parameter("after", "0"))
        return reply({"items": numbered(at, at + 1), "page": {"next": str(at + 2) if at < 4 else None}})

    paging = {"type": "cursor", "cursor": "page.next", "param": "after", "limit": "n", "size": 2}
    server = serve(answer)
    assert [row["id"] for row in rows_of(source_of(server, records="items", paginate=paging))] == list(range(6))
    assert [got.query for got in server.received[:2]] == [(("n", "2"),), (("after", "2"), ("n", "2"))]


def test_a_cursor_ends_where_the_service_says_that_there_is_no_more(serve, source_of):
    server = serve(lambda got: reply({"items": numbered(got.number), "next": str(got.number), "more": got.number < 3}))
    paging = {"type": "cursor", "cursor": "next", "more": "more"}
    assert len(rows_of(source_of(server, records="items", paginate=paging))) == 3


def test_a_post_pages_in_its_body(serve, source_of):
    def answer(got):
        asked = json.loads(got.body)
        assert asked["filter"] == {"a": 1}
        return reply(numbered(*range(asked["offset"], min(asked["offset"] + asked["limit"], 5))))

    paging = {"type": "offset", "size": 2, "in": "body"}
    server = serve(answer)
    source = source_of(server, method="POST", body={"filter": {"a": 1}}, paginate=paging)
    assert [row["id"] for row in rows_of(source)] == list(range(5))
    assert server.received[0].header("content-type") == "application/json"


def test_link_headers_lead_on(serve, source_of):
    def answer(got):
        at = int(got.parameter("p", "1"))
        link = f'</items?p={at - 1}>; rel="prev", </items?p={at + 1}&x=a,b>; rel="next"' if at < 3 else "</>; rel=first"
        return reply(numbered(at), Link=link)

    server = serve(answer)
    source = source_of(server, query={"q": "1"}, paginate={"type": "link"})
    assert [row["id"] for row in rows_of(source)] == [1, 2, 3]
    assert server.received[1].query == (("p", "2"), ("x", "a,b"))


def test_next_urls_keep_credentials_on_their_origin(serve, source_of):
    other = serve(lambda _: reply({"data": numbered(2), "next": ""}))
    server = serve(lambda _: reply({"data": numbered(1), "next": f"{other.url}/more?page=2"}))
    auth = {"type": "api_key", "in": "query", "name": "api_key", "value": KEY}
    paging = {"type": "next_url", "next": "next"}
    strict = source_of(server, records="data", paginate=paging, connection={"auth": auth})
    assert other.url in refused(strict, "SRC-274")
    assert other.received == []
    paging["allow_origins"] = [other.url]
    allowed = source_of(server, records="data", paginate=paging, connection={"auth": auth})
    assert [row["id"] for row in rows_of(allowed)] == [1, 2]
    assert other.received[0].query == (("page", "2"),)


@pytest.mark.parametrize(
    ("paging", "page"),
    [
        ({"type": "cursor", "cursor": "next"}, {"next": "same", "data": []}),
        ({"type": "next_url", "next": "next"}, {"next": "/items", "data": []}),
        ({"type": "next_url", "next": "next"}, {"next": "?p=1", "data": []}),
    ],
)
def test_a_listing_in_a_circle_ends_in_an_error(serve, source_of, paging, page):
    server = serve(lambda _: reply(page))
    refused(source_of(server, schema={"id": "int64"}, records="data", paginate=paging), "SRC-273")
    assert len(server.received) <= 4


def test_a_server_that_ignores_the_paging_parameter_is_noticed(serve, source_of):
    server = serve(lambda _: reply(numbered(1, 2, 3)))
    assert "same" in refused(source_of(server, paginate={"type": "page"}), "SRC-273")


def test_a_server_that_ignores_the_paging_parameter_is_noticed_where_it_says_a_total(serve, source_of):
    server = serve(lambda _: reply({"data": numbered(1, 2, 3), "total": 9}))
    paging = {"type": "offset", "offset": "skip", "total": "total"}
    assert "same" in refused(source_of(server, records="data", paginate=paging), "SRC-273")


def test_a_listing_without_end_is_stopped(serve, source_of):
    server = serve(lambda got: reply(numbered(got.number)))
    refused(source_of(server, paginate={"type": "page"}, max_pages=5), "SRC-276")
    huge = serve(listing(10_000_000_000))
    source = source_of(huge, records="data", paginate={"type": "offset", "total": "total", "size": 1})
    refused(source, "SRC-276")
    assert len(huge.received) == 1


def test_a_listing_that_shrinks_while_it_is_read_is_read_again_by_the_next_run(serve, source_of):
    def answer(got):
        total = 30 if got.number == 1 else 24
        offset = int(got.parameter("offset"))
        return reply({"total": total, "data": numbered(*range(offset, min(offset + 10, total)))})

    source = source_of(serve(answer), records="data", paginate={"type": "offset", "size": 10, "total": "total"})
    with pytest.raises(TransientError) as caught:
        rows_of(source)
    assert caught.value.code == "SRC-275"


def test_a_listing_that_grows_at_its_end_is_read_to_its_new_end(serve, source_of):
    def answer(got):
        total = 20 if got.number == 1 else 34
        offset = int(got.parameter("offset"))
        return reply({"total": total, "data": numbered(*range(offset, min(offset + 10, total)))})

    source = source_of(serve(answer), records="data", paginate={"type": "offset", "size": 10, "total": "total"})
    assert [row["id"] for row in rows_of(source)] == list(range(34))


@pytest.mark.parametrize("total", [None, "many", -1, [], 1.5, True])
def test_a_total_that_is_no_number_is_named(serve, source_of, total):
    server = serve(lambda _: reply({"total": total, "data": numbered(1)}))
    refused(source_of(server, records="data", paginate={"type": "offset", "total": "total"}), "SRC-272")


# ---------------------------------------------------------------- answers that are no page


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<!DOCTYPE html><html><body>Please log in", {"Content-Type": "text/html"}),
        (b"", {}),
        (b"   \n ", {}),
        (b'[{"id": 1}, {"id": 2', {}),
        (b'[{"id": 1}, {"id": ]', {}),
        (b'{"data": [1}', {}),
        (b"[{'id': 1}]", {}),
        ("[{'id': '\u00e9'}]".encode("latin-1"), {}),
        (b'[{"id": "\xff\xfe"}]', {}),
        ('[{"id": 1}]'.encode("utf-16"), {}),
        (b'[{"id": 1}] trailing', {}),
        (b'[{"id": 1}][{"id": 2}]', {}),
        (b'[{"id": "\\ud800"}]', {}),
        (b'[{"id": 1}\x00]', {}),
        (b"id,name\n1,a\n", {"Content-Type": "text/csv"}),
        (b'[{"id": "\xe9"}]', {"Content-Type": "application/json; charset=ascii-of-mine"}),
        (b'[{"id": 1}]', {"Content-Type": "application/json; charset=utf-16"}),
    ],
)
def test_what_is_no_json_is_a_clear_error(serve, source_of, body, headers):
    server = serve(lambda _: Reply(body, headers=headers))
    assert "page 1" in refused(source_of(server, schema={"id": "int64"}), "SRC-271")


def test_a_page_in_the_middle_that_is_no_json_is_named(serve, source_of):
    def answer(got):
        offset = int(got.parameter("offset"))
        if offset == 40:
            return Reply(b'{"total": 50, "data": [{"id": 1}, {"id"}]}')
        return reply({"total": 50, "data": numbered(*range(offset, offset + 10))})

    source = source_of(serve(answer), records="data", paginate={"type": "offset", "size": 10, "total": "total"})
    assert "page 5 is not valid JSON" in refused(source, "SRC-271")


def test_a_hundred_thousand_brackets_are_no_records(serve, source_of):
    server = serve(lambda _: Reply(b"[" * 100_000 + b"]" * 100_000))
    refused(source_of(server, schema={"id": "int64"}), "SRC-279")
    refused(source_of(server), "SRC-279")


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "UTF-8"])
def test_a_charset_that_the_server_states_is_read(serve, source_of, charset):
    body = '[{"name": "Zürich"}]'.encode(charset)
    server = serve(lambda _: Reply(body, headers={"Content-Type": f'application/json; charset="{charset}"'}))
    assert rows_of(source_of(server)) == [{"name": "Zürich"}]


def test_a_byte_order_mark_is_no_part_of_json(serve, source_of):
    server = serve(lambda _: Reply(b'\xef\xbb\xbf[{"id": 1}]'))
    assert rows_of(source_of(server)) == [{"id": 1}]


@pytest.mark.parametrize("body", [{}, {"dat": []}, {"data": 5}, {"data": "x"}, {"data": True}, [], [1]])
def test_a_page_without_records_at_their_place_is_an_error(serve, source_of, body):
    assert '"data"' in refused(
        source_of(serve(lambda _: reply(body)), schema={"id": "int64"}, records="data"), "SRC-272"
    )


def test_null_no_content_and_a_single_object_are_listings_too(serve, source_of):
    stated = {"id": "int64"}
    assert rows_of(source_of(serve(lambda _: reply({"data": None})), schema=stated, records="data")) == []
    assert rows_of(source_of(serve(lambda _: Reply(status=204)), schema=stated, records="data")) == []
    assert rows_of(source_of(serve(lambda _: reply({"data": {"id": 7}})), schema=stated, records="data")) == [{"id": 7}]
    assert rows_of(source_of(serve(lambda _: reply({"id": 8})), schema=stated)) == [{"id": 8}]


def test_an_error_shows_no_key_even_where_the_page_echoes_it(serve, source_of):
    server = serve(lambda got: reply({"request": dict(got.query), "data": 5}))
    auth = {"type": "api_key", "in": "query", "name": "api_key", "value": KEY}
    message = refused(source_of(server, records="data", schema={"id": "int64"}, connection={"auth": auth}), "SRC-272")
    assert "***" in message


# ---------------------------------------------------------------- records and values that do not fit


BAD = [
    {"id": 1, "day": "2024-01-01", "value": "82.60"},
    {"id": 2, "day": "2024-13-01", "value": "1.5"},
    5,
    None,
    "text",
    [1],
    {"id": "x", "day": None, "value": "n/a"},
    {},
    {"id": 9, "day": "2024-01-09", "value": None, "more": 1},
]
STATED = {"id": "int64?", "day": "date?", "value": "decimal(12,4)?"}


def test_records_and_values_that_do_not_fit_are_rejects_with_their_place(serve, source_of):
    source = source_of(serve(lambda _: reply(BAD)), schema=STATED)
    assert [(row["id"], row["value"]) for row in rows_of(source)] == [
        *((1, Decimal("82.6000")), (None, None), (9, None))
    ]
    rejects = rejects_of(source)
    assert [json.loads(item["position"]) for item in rejects] == [{"page": 1, "record": n} for n in (2, 3, 4, 5, 6, 7)]
    assert [item["raw"] for item in rejects] == [None, "5", "null", '"text"', "[1]", None]
    assert json.loads(rejects[0]["row"]) == BAD[1]
    assert [[(c["code"], c["column"]) for c in item["causes"]] for item in rejects] == [
        [("bad_value", "day")],
        *[[("not_an_object", None)]] * 4,
        [("bad_value", "id"), ("bad_value", "value")],
    ]
    assert rejects[0]["causes"][0]["message"] == '"day" is no date: "2024-13-01"'


def test_rejects_do_not_depend_on_the_columns_that_are_read(serve, source_of):
    source = source_of(serve(lambda _: reply(BAD)), schema=STATED)
    assert len(rejects_of(source, columns=("id",))) == 6
    assert rows_of(source, columns=("id",)) == [{"id": 1}, {"id": None}, {"id": 9}]
    assert rows_of(source, columns=("value", "id"))[0] == {"value": Decimal("82.6000"), "id": 1}
    assert [row for chunk in chunks(source, columns=()) for row in [chunk.batch.num_rows]] == [3]


def test_bad_values_become_null_where_the_contract_says_so(serve, source_of):
    source = source_of(serve(lambda _: reply(BAD)), schema=STATED, contract={"on_bad_value": "null"})
    assert [(row["id"], row["day"] is None) for row in rows_of(source)] == [
        *((1, False), (2, True), (None, True), (None, True), (9, False))
    ]
    assert len(rejects_of(source)) == 4


def test_a_bad_value_fails_where_the_contract_says_so(serve, source_of):
    source = source_of(serve(lambda _: reply(BAD)), schema=STATED, contract={"on_bad_value": "fail"})
    with pytest.raises(DataError, match='"day" is no date') as caught:
        rows_of(source)
    assert caught.value.code == "SRC-277"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("list<int64?>", [1, None], [1, "x"]),
        ("list<int64>", [1], [1, None]),
        ("list<string>", ["a"], ["a", None]),
        ("list<int64>", [], 7),
        ("struct<a: int64?, b: string?>", {"a": 1}, {"a": "x"}),
        ("struct<a: int64?, b: string?>", {}, [1]),
        ("map<string, int64?>", {"k": 1, "n": None}, {"k": 1, "j": "x"}),
        ("map<string, int64>", {"k": 1}, {"k": 1, "j": None}),
        ("map<string, int64>", {}, "x"),
        ("list<struct<a: list<date>?>>", [{"a": ["2024-01-01"]}, {}], [{"a": ["2024-01-01", "soon"]}]),
        ("float64", "NaN", "much"),
        ("float64", 1e300, {}),
        ("uuid", "6f1e9a3c-0d4b-4a57-9a51-2f0d2b1f7a10", "6f1e"),
        ("timestamptz", "2024-03-31T01:30:00+01:00", "2024-03-31T25:00:00Z"),
        ("uint8", 255, 256),
        ("boolean", "true", "maybe"),
        ("time", "23:59:59.999999", "24:00:01"),
    ],
)
def test_values_of_every_kind_are_taken_or_rejected_never_lost(serve, source_of, kind, good, bad):
    server = serve(lambda _: reply([{"v": good}, {"v": bad}, {"v": None}]))
    source = source_of(server, schema={"v": f"{kind}?"})
    rows, rejects = rows_of(source), rejects_of(source)
    assert [row["v"] is None for row in rows] == [False, True]
    assert [json.loads(item["row"]) for item in rejects] == [{"v": bad}]


def test_records_that_are_none_are_found_where_every_column_takes_anything(serve, source_of):
    server = serve(lambda _: reply([{"t": "a"}, 5, None, {"t": None}, "x", {}]))
    source = source_of(server, schema={"t": "string?"})
    assert rows_of(source) == [{"t": "a"}, {"t": None}, {"t": None}]
    assert [item["raw"] for item in rejects_of(source)] == ["5", "null", '"x"']


def test_a_member_that_must_be_there_and_is_not_is_a_bad_value(serve, source_of):
    server = serve(lambda _: reply([{"v": {"b": ""}}, {"v": {"a": 1}}, {"v": {"a": 1, "b": None}}]))
    source = source_of(server, schema={"v": "struct<a: int64?, b: string>"})
    assert rows_of(source) == [{"v": {"a": None, "b": ""}}]
    assert len(rejects_of(source)) == 2


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("99999999999999.9999", "decimal(18,4)"),
        ("-99999999999999.9999", "decimal(18,4)"),
        ("0.99999999999999999999999999999999999999", "decimal(38,38)"),
        ("9999999999999999999999999999.9999999999", "decimal(38,10)"),
        ("4503599627370497.5", "decimal(17,1)"),
    ],
)
def test_decimals_are_exact_to_their_last_digit(serve, source_of, number, kind):
    page = f'[{{"v": {number}}}, {{"v": null}}, {{"v": {number}, "day": "soon", "t": "a: {number}, \\"b"}}]'
    source = source_of(serve(lambda _: Reply(page.encode())), schema={"v": f"{kind}?", "day": "date?", "t": "string?"})
    assert [row["v"] for row in rows_of(source)] == [Decimal(number), None]
    (reject,) = rejects_of(source)
    assert json.loads(reject["row"]) == {"v": number, "day": "soon", "t": f'a: {number}, "b'}


def test_numbers_that_json_does_not_know_are_not_taken(serve, source_of):
    body = b'[{"v": 1.5}, {"v": NaN}, {"v": -Infinity}, {"v": 1e999}]'
    server = serve(lambda _: Reply(body))
    for source in (source_of(server), source_of(server, schema={"v": "float64"})):
        assert rows_of(source) == [{"v": 1.5}]
        assert len(rejects_of(source)) == 3
    refused(source_of(server, schema={"v": "json"}), "SRC-271")


def test_long_numbers_keep_all_their_digits(serve, source_of):
    body = b"""[{"v": 1234567890123456.78, "t": "a: 12345678901234567.89, b", "j": {"n": 12345678901234567}},
                {"v": -99999999999999999999.99, "t": "x", "j": [1]}, {"v": 1.25e3, "t": "y", "j": null}]"""
    source = source_of(serve(lambda _: Reply(body)), schema={"v": "decimal(22,2)", "t": "string", "j": "json?"})
    rows = rows_of(source)
    assert [str(row["v"]) for row in rows] == ["1234567890123456.78", "-99999999999999999999.99", "1250.00"]
    assert [row["t"] for row in rows] == ["a: 12345678901234567.89, b", "x", "y"]
    assert json.loads(rows[0]["j"]) == {"n": 12345678901234567}


# ---------------------------------------------------------------- columns


def test_columns_are_found_in_the_first_page(serve, source_of):
    first = {
        'a"; DROP TABLE x;--': "x", "n": 1, "f": 1.5, "b": True, "d": "2024-01-01", "o": {"in": [1]}, "l": ["a"], "z": None,
    }  # fmt: skip
    source = source_of(serve(lambda _: reply([first, {"n": None, "mixed": 1}, {"mixed": "x"}])))
    assert {column.name: column.spelling for column in source.describe()} == {
        'a"; DROP TABLE x;--': "string?",
        "n": "int64?",
        "f": "float64?",
        "b": "boolean?",
        "d": "string?",
        "o": "struct<in: list<int64?>?>?",
        "l": "list<string?>?",
        "z": "json?",
        "mixed": "json?",
    }
    assert rows_of(source)[0]["o"] == {"in": [1]}


def test_an_empty_listing_has_no_columns_unless_they_are_stated(serve, source_of):
    server = serve(lambda _: reply([]))
    refused(source_of(server), "SRC-279")
    assert source_of(server, schema={"id": "int64"}).describe().names == ("id",)


def test_a_stated_column_that_no_record_has_is_missing_unless_it_may_be_null(serve, source_of):
    source = source_of(serve(lambda _: reply([{"id": 1, "new": 2}])), schema={"id": "int64", "a": "date?", "b": "date"})
    assert source.describe().names == ("id", "a")
    adding = source_of(
        serve(lambda _: reply([{"id": 1, "new": 2}])), schema={"id": "int64"}, contract={"on_new_column": "add"}
    )
    assert adding.describe().names == ("id", "new")


def test_describing_reads_one_page_which_the_spool_then_uses(serve, source_of, tmp_path):
    server = serve(listing(25))
    source = source_of(server, records="data", paginate={"type": "offset", "size": 10, "total": "total"})
    source.describe()
    assert len(server.received) == 1
    source.spool(ALL, tmp_path)
    assert [got.parameter("offset") for got in server.received[1:]] in (["10", "20"], ["20", "10"])


# ---------------------------------------------------------------- the spool


@pytest.fixture
def spooled(serve, source_of, tmp_path):
    server = serve(listing(2500))
    settings = {"records": "data", "paginate": {"type": "offset", "size": 100, "total": "total"}}
    folder = tmp_path / "spool"
    folder.mkdir()
    position = json.loads(json.dumps(source_of(server, **settings).spool(ALL, folder)))
    asked = len(server.received)
    return lambda: source_of(server, **settings), position, Path(position["file"]), lambda: len(server.received) - asked


def test_a_spooled_range_is_read_again_without_asking_the_service(spooled):
    make, position, _, asked = spooled
    first = rows_of(make(), position)
    assert first == rows_of(make(), position) == [{"id": n} for n in range(2500)]
    assert position["records"] == 2500
    assert asked() == 0


def test_a_spool_is_private_and_nothing_else_lies_beside_it(spooled):
    _, _, path, _ = spooled
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("at", [0, 1000, -1, -500])
def test_a_byte_that_changed_is_noticed(spooled, at):
    make, position, path, _ = spooled
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError) as caught:
        rows_of(make(), position)
    assert caught.value.code == "SRC-110"


@pytest.mark.parametrize("harm", ["cut", "gone", "longer"])
def test_a_spool_that_is_cut_gone_or_longer_is_noticed(spooled, harm):
    make, position, path, _ = spooled
    match harm:
        case "cut":
            os.truncate(path, path.stat().st_size // 2)
        case "longer":
            path.write_bytes(path.read_bytes() + b"x")
        case _:
            path.unlink()
    with pytest.raises(DataError) as caught:
        rows_of(make(), position)
    assert caught.value.code == "SRC-110"


@pytest.mark.parametrize("position", [{"v": 2}, {}, {"v": 1, "file": 5}, {"v": 1, "live": False}])
def test_positions_of_others_are_refused(spooled, position):
    make, *_ = spooled
    with pytest.raises(ConfigError) as caught:
        rows_of(make(), position)
    assert caught.value.code == "SRC-270"


def test_a_scan_goes_on_after_any_chunk(serve, source_of, tmp_path):
    big = "x" * 50_000
    server = serve(lambda got: reply([{"id": int(got.parameter("page")), "big": big}] * 200 if got.number < 4 else []))
    source = source_of(server, paginate={"type": "page"})
    position = source.spool(ALL, tmp_path)
    parts = chunks(source, position)
    assert len(parts) == 3
    rest = source.scan(ScanRequest(ALL, parts[0].position, position)).open()
    assert [chunk.batch.column("id")[0].as_py() for chunk in rest] == [2, 3]
    with pytest.raises(InternalError):
        source.scan(ScanRequest(ALL, {"v": 1, "file": "other", "page": 1}, position))


def test_a_listing_that_fails_leaves_no_file(serve, source_of, tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    server = serve(lambda got: reply(numbered(1)) if got.number == 1 else Reply(b"<html>"))
    with pytest.raises(DataError):
        source_of(server, paginate={"type": "page"}).spool(ALL, folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_takes_no_file_is_named(serve, source_of, tmp_path):
    server = serve(lambda _: reply(numbered(1)))
    with pytest.raises(TransientError) as caught:
        source_of(server).spool(ALL, tmp_path / "not there")
    assert caught.value.code == "SRC-278"


@pytest.mark.timeout(60)  # long before the client's own time, 5 minutes, is over
def test_ctrl_c_ends_a_fetch_and_leaves_nothing(serve, source_of, tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    answer = listing(10_000)
    server = serve(lambda got: Reply(hold=True) if int(got.parameter("offset")) >= 30 else answer(got))
    paging = {"type": "offset", "size": 10, "total": "total"}
    source = source_of(server, records="data", paginate=paging, clock=SystemClock())
    source.describe()
    # To another thread than the one that waits, whose wait is not ended by it.
    threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        source.spool(ALL, folder)
    assert list(folder.iterdir()) == []


# ---------------------------------------------------------------- waiting


def test_a_busy_service_is_asked_again_as_it_wishes(serve, source_of):
    answer = listing(30)
    server = serve(lambda got: Reply(status=429, headers={"Retry-After": "3"}) if got.number == 2 else answer(got))
    clock = FakeClock()
    paging = {"type": "offset", "size": 10, "total": "total"}
    source = source_of(server, records="data", paginate=paging, clock=clock, concurrency=1)
    assert len(rows_of(source)) == 30
    assert clock.monotonic() >= 3


def test_a_service_that_stays_down_is_a_transient_error(serve, source_of):
    server = serve(lambda _: Reply(status=503))
    refused(source_of(server), "NET-120")
    assert len(server.received) == 2


def test_an_answer_that_is_too_large_is_not_read(serve, source_of):
    server = serve(lambda _: reply([{"id": "x" * 5000}]))
    refused(source_of(server, connection={"max_response_bytes": "4 kB"}), "NET-115")
