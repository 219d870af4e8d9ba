"""COPY data from the protocol's messages, however the network cuts them."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.connectors.postgres.frames import Frames

START = b"H\0\0\0\x07\0\0\0"
END = b"c\0\0\0\4" + b"C\0\0\0\x0bCOPY 1\0" + b"Z\0\0\0\5I"
NOTICE = b"N\0\0\0\x0eMd\nd\0\0\0\5d\0"
ROWS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"", b"\nd", b"x\nd\0\0\0\5", b"d\0\0\0\4" * 9, b"Z\0\0\0\5I", b"y" * 300]),
    ),
    max_size=30,
)


def message(row: bytes) -> bytes:
    return b"d" + (len(row) + 5).to_bytes(4, "big") + row + b"\n"


def feed(frames: Frames, stream: bytes, steps: list[int]) -> None:
    at = turn = 0
    while at < len(stream):
        step = min(steps[turn % len(steps)], len(frames.space), len(stream) - at)
        frames.space[:step] = stream[at : at + step]
        frames.received(step)
        at, turn = at + step, turn + 1


@settings(max_examples=300, deadline=None)
@given(
    rows=ROWS,
    steps=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    size=st.sampled_from([64, 100, 4096]),
    filler=st.sampled_from([b"", b"0000\t"]),
)
def test_the_text_is_the_rows_whatever_the_cuts(rows: list[bytes], steps: list[int], size: int, filler: bytes) -> None:
    written: list[bytes] = []
    frames = Frames(lambda part: written.append(bytes(part)), size, filler=filler)
    middle = len(rows) // 2
    stream = START + b"".join(map(message, rows[:middle])) + NOTICE + b"".join(map(message, rows[middle:])) + END
    feed(frames, stream, steps)
    assert b"".join(written) == b"".join(filler + row + b"\n" for row in rows)
    assert frames.ended


def test_an_error_within_the_rows_is_raised_as_its_kind() -> None:
    body = b"SERROR\0VERROR\0C22012\0Mdivision by zero\0\0"
    stream = START + message(b"1") + b"E" + (len(body) + 4).to_bytes(4, "big") + body
    written: list[bytes] = []
    frames = Frames(lambda part: written.append(bytes(part)))
    with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
        feed(frames, stream, [len(stream)])
    assert not frames.ended


@pytest.mark.parametrize("body", [b"CXXXXX\0Msomething new\0\0", b"", b"\0"])
def test_an_error_of_an_unknown_kind_is_still_an_error(body: bytes) -> None:
    stream = b"E" + (len(body) + 4).to_bytes(4, "big") + body
    with pytest.raises(psycopg.Error):
        feed(Frames(lambda _: None), stream, [len(stream)])


def test_what_is_no_message_of_a_copy_is_refused() -> None:
    with pytest.raises(psycopg.OperationalError):
        feed(Frames(lambda _: None), b"\x16\x03\x01\0\x05abcdefgh" + b"T\0\0\0\5xx", [50])
