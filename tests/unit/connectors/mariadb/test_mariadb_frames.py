"""Rows cut out of the protocol's packets, wherever the socket's pieces end and whatever the rows look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.mariadb.frames import Frames, RowIsNullError, ServerError

END = b"\x05\x00\x00\x09\xfe\x00\x00\x02\x00"


def packet(body: bytes, number: int = 1) -> bytes:
    """One message, in several packets where it is too long for one."""
    made = b""
    while len(body) >= 0xFFFFFF:
        made, body = made + b"\xff\xff\xff" + bytes([number]) + body[:0xFFFFFF], body[0xFFFFFF:]
    return made + len(body).to_bytes(3, "little") + bytes([number % 256]) + body


def row(text: bytes, number: int = 1) -> bytes:
    size = len(text)
    if size < 251:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\xfc" + size.to_bytes(2, "little")
    elif size < 1 << 24:
        length = b"\xfd" + size.to_bytes(3, "little")
    else:
        length = b"\xfe" + size.to_bytes(8, "little")
    return packet(length + text, number)


def taken(stream: bytes, *, size: int, piece: int) -> tuple[bytes, Frames]:
    out = bytearray()
    frames = Frames(out.extend, size)
    at = 0
    while at < len(stream):
        space = frames.space
        count = min(len(space), piece, len(stream) - at)
        space[:count] = stream[at : at + count]
        frames.received(count)
        at += count
    return bytes(out), frames


TEXTS = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"\n" * 10, b"\n\x05\x00\x00\x01", b"x" * 250, b"x" * 251, b"y" * 1_000, b"\n" * 300]),
    ).map(lambda text: text + b"\n"),
    max_size=12,
)


@given(texts=TEXTS, size=st.sampled_from([16, 1 << 10, 1 << 15]), piece=st.sampled_from([3, 50, 5000]))
def test_every_row_is_handed_on_as_it_is(texts: list[bytes], size: int, piece: int) -> None:
    stream = b"".join(row(text, number) for number, text in enumerate(texts)) + END
    out, frames = taken(stream, size=size, piece=piece)
    assert out == b"".join(texts)
    assert frames.ended


def test_a_row_of_several_packets_is_one() -> None:
    text = b"z" * (1 << 24) + b"\n"
    out, frames = taken(row(text) + row(b"after\n") + END, size=1 << 20, piece=1 << 20)
    assert out == text + b"after\n"
    assert frames.ended


def test_many_short_rows_are_cut_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at each: only what is no row is walked."""
    walked: list[int] = []
    plain = Frames._walk
    monkeypatch.setattr(Frames, "_walk", lambda self, at: walked.append(self._filled - at) or plain(self, at))
    texts = [b"some\ntext\n", b"\n", b"x" * 300 + b"\n"] * 400
    out = taken(b"".join(map(row, texts, range(1200))), size=1 << 18, piece=1 << 18)[0]
    assert out == b"".join(texts)
    assert walked == [0]


def test_a_row_that_the_server_does_not_send_is_told() -> None:
    with pytest.raises(RowIsNullError):
        taken(row(b"one\n") + packet(b"\xfb") + END, size=1 << 10, piece=1 << 10)


def test_an_error_in_the_midst_of_rows_is_told() -> None:
    with pytest.raises(ServerError) as caught:
        taken(row(b"one\n") + packet(b"\xff\x25\x05#70100gone"), size=1 << 10, piece=1 << 10)
    assert caught.value.args[0].startswith(b"\xff")
