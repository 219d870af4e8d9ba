import pytest
from pydantic import TypeAdapter

from penstock.connectors.http.messages import Headers
from penstock.connectors.http.urls import parse_url
from penstock.connectors.rest.paging import Progress, Said, links, pager_of
from penstock.connectors.rest.params import Paging
from penstock.errors import ConfigError, DataError

BASE = parse_url("https://api.example/v1")


def pager(**paging):
    return pager_of(TypeAdapter(Paging).validate_python(paging), BASE)


def said(records=0, url="https://api.example/v1/items", link=(), **values):
    return Said(
        records, {f"/{k}": v for k, v in values.items()}, Headers([("Link", one) for one in link]), parse_url(url)
    )


def test_without_paging_one_answer_is_all():
    assert pager_of(None, BASE).next(said(5), Progress(1, 5)) is None


def test_offsets_are_planned_by_what_the_first_page_really_holds():
    offsets = pager(type="offset", size=100, total="total")
    assert offsets.first().parameters == (("offset", 0), ("limit", 100))
    planned = offsets.planned(said(40, total="130"))
    assert planned.count == 3
    assert [step.parameters[0] for step in planned.steps] == [("offset", 40), ("offset", 80), ("offset", 120)]


@pytest.mark.parametrize(("records", "total"), [(0, "0"), (0, "10"), (10, "10"), (10, "3"), (10, "10.0")])
def test_nothing_is_planned_where_the_first_page_is_all(records, total):
    assert pager(type="offset", size=10, total="total").planned(said(records, total=total)).count == 0


def test_a_total_of_any_size_is_planned_without_being_counted_out():
    assert pager(type="offset", size=1, total="t").planned(said(1, t="999999999999999")).count == 999_999_999_999_998


def test_offsets_move_by_what_came_until_nothing_comes():
    offsets = pager(type="offset", size=100, limit=None)
    assert offsets.next(said(40), Progress(1, 40)).parameters == (("offset", 40),)
    assert offsets.next(said(3), Progress(2, 43)).parameters == (("offset", 43),)
    assert offsets.next(said(0), Progress(3, 43)) is None


def test_page_numbers_start_where_the_document_says():
    pages = pager(type="page", first=0, limit="n", size=5, pages="pages")
    assert pages.first().parameters == (("page", 0), ("n", 5))
    assert [step.parameters[0][1] for step in pages.planned(said(5, pages="3")).steps] == [1, 2]
    assert pages.next(said(5, pages="4"), Progress(3, 15)).parameters[0] == ("page", 3)
    assert pages.next(said(5, pages="3"), Progress(3, 15)) is None


@pytest.mark.parametrize("text", [None, "", "x", "-1", "1.5", "1e3", "9" * 16, "٣"])
def test_a_total_that_is_no_number_is_an_error(text):
    with pytest.raises(DataError) as caught:
        pager(type="offset", total="total").planned(said(1, total=text))
    assert caught.value.code == "SRC-272"


@pytest.mark.parametrize("end", [None, "", "false"])
def test_a_cursor_ends_with_nothing(end):
    assert pager(type="cursor", cursor="next").next(said(1, next=end), Progress(1, 1)) is None


def test_a_cursor_that_comes_again_is_a_circle():
    cursor = pager(type="cursor", cursor="next")
    assert cursor.next(said(1, next="a"), Progress(1, 1)).parameters == (("cursor", "a"),)
    cursor.next(said(1, next="b"), Progress(2, 2))
    with pytest.raises(DataError) as caught:
        cursor.next(said(1, next="a"), Progress(3, 3))
    assert caught.value.code == "SRC-273"


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("https://api.example/v1/items?p=2", "https://api.example/v1/items?p=2"),
        ("/other?p=2", "https://api.example/other?p=2"),
        ("?p=2", "https://api.example/v1/items?p=2"),
        ("//api.example/x", "https://api.example/x"),
        ("items?q=a b", "https://api.example/v1/items?q=a%20b"),
    ],
)
def test_links_are_read_as_browsers_read_them(reference, target):
    step = pager(type="next_url", next="next").next(said(1, next=reference), Progress(1, 1))
    assert step.link.reveal() == target


@pytest.mark.parametrize(
    "reference",
    ["https://evil.example/", "http://api.example/v1", "https://api.example:444/", "//evil.example/x"],
)
def test_links_to_another_origin_are_refused_unless_allowed(reference):
    with pytest.raises(ConfigError) as caught:
        pager(type="next_url", next="next").next(said(1, next=reference), Progress(1, 1))
    assert caught.value.code == "SRC-274"


def test_an_origin_that_is_allowed_is_followed():
    linked = pager(type="link", allow_origins=["https://cdn.example"])
    step = linked.next(said(1, link=['<https://cdn.example/p2>; rel="next"']), Progress(1, 1))
    assert step.link.host == "cdn.example"


@pytest.mark.parametrize(
    "reference", ["file:///etc/passwd", "ftp://api.example/", "http://user@api.example/", "http://[::1", "https://a b/"]
)
def test_links_that_are_no_urls_for_us_are_refused(reference):
    with pytest.raises(ConfigError) as caught:
        pager(type="next_url", next="next").next(said(1, next=reference), Progress(1, 1))
    assert caught.value.code in {"NET-100", "NET-101", "NET-102", "SRC-274"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], []),
        (["garbage"], []),
        (["<a"], []),
        (["<a>"], []),
        (["<a>; rel=next"], ["a"]),
        (['<a>; REL="NEXT"; title="x, y"'], ["a"]),
        (['<a>; rel="prev"; title="<b>; rel=next", <c>; rel="next"'], ["c"]),
        (["<a>; rel=prev", "<b>; rel=next"], ["b"]),
        (['<a?x=1,2>; rel="next prefetch"'], ["a?x=1,2"]),
        (["<a>; rel=nextish"], []),
        (["<" * 10_000], []),
        (["<a>;" * 5_000], []),
    ],
)
def test_link_headers_are_read_by_their_grammar(headers, found):
    assert list(links(headers, "next")) == found
