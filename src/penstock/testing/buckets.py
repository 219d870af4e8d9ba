"""What every bucket promises to the connectors of files (``connectors.objects.bucket``)."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from penstock.connectors.objects.bucket import ObjectChangedError, ObjectGoneError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.objects.bucket import Bucket

HOSTILE: Final = (
    "plain.csv",
    "a b/c+d&e=f.csv",
    "part=100%/x%20y.csv",
    "what?#not.csv",
    "größe/☕️/😀.csv",
    'quote\'d "twice".csv',
    ".hidden/_under.csv",
    "[a-z]*{1,2}.csv",
    "semi;colon,comma~tilde.csv",
)
_WRITERS: Final = 6


class BucketConformance(ABC):
    """Every test begins with an empty place."""

    @abstractmethod
    def make(self) -> Bucket:
        """One more door to the same place, as another process has one."""

    @abstractmethod
    def put(self, key: str, content: bytes) -> None:
        """By other means than the bucket's."""

    @abstractmethod
    def keys(self) -> list[str]:
        """What is there, in order, by other means than the bucket's."""

    @abstractmethod
    def content(self, key: str) -> bytes:
        """By other means than the bucket's."""

    # ------------------------------------------------------------ reading

    def test_what_others_put_is_listed_found_and_read(self) -> None:
        self.put("in/a.csv", b"one")
        bucket = self.make()
        (listed,) = bucket.list("in")
        assert (listed.key, listed.size) == ("in/a.csv", 3)
        found = bucket.find("in/a.csv")
        assert found is not None
        assert (found.key, found.size) == (listed.key, listed.size)
        assert bucket.read("in/a.csv") == b"one"
        assert bucket.url_of("in/a.csv") == f"{bucket.url}/in/a.csv"

    def test_a_listing_goes_below_folders_and_stays_below_its_prefix(self) -> None:
        for key in ("a/1", "a/b/2", "a/b/c/3", "ab/4", "5"):
            self.put(key, b"x")
        bucket = self.make()
        assert sorted(item.key for item in bucket.list("a")) == ["a/1", "a/b/2", "a/b/c/3"]
        assert sorted(item.key for item in bucket.list("")) == ["5", "a/1", "a/b/2", "a/b/c/3", "ab/4"]
        assert sorted(item.key for item in bucket.list("a", after="a/b/2")) == ["a/b/c/3"]
        assert bucket.list("a/1") == []
        assert bucket.list("nowhere") == []

    def test_what_is_not_there_is_none(self) -> None:
        self.put("folder/file", b"x")
        bucket = self.make()
        assert bucket.find("nothing") is None
        assert bucket.find("folder") is None
        assert bucket.read("nothing") is None

    def test_a_range_is_of_exactly_the_object_that_was_found(self) -> None:
        self.put("file", b"0123456789")
        bucket = self.make()
        found = bucket.find("file")
        assert found is not None
        assert bucket.read_range(found, 2, 5) == b"234"
        assert bucket.read_range(found, 8, 100) == b"89"
        self.make().write("file", b"9876543210")
        with pytest.raises(ObjectChangedError):
            bucket.read_range(found, 2, 5)
        bucket.delete(["file"])
        with pytest.raises(
            (ObjectGoneError, ObjectChangedError)
        ):  # a store asked for one content says that it has not that
            bucket.read_range(found, 2, 5)

    # ------------------------------------------------------------ writing

    def test_what_is_written_takes_the_place_of_what_was_there(self, tmp_path: Path) -> None:
        bucket, file = self.make(), tmp_path / "file"
        for content in (b"first", b"", b"a longer one than before"):
            bucket.write("out/bytes", content)
            assert self.content("out/bytes") == content
            file.write_bytes(content)
            bucket.write_all({"out/file": file, "out/b/file": file})
            assert self.content("out/file") == self.content("out/b/file") == content
        assert self.keys() == ["out/b/file", "out/bytes", "out/file"]

    def test_nobody_finds_a_part_of_what_is_written(self) -> None:
        """Of another length each time, so that a mixture would show as well."""
        contents = [bytes([65 + number]) * (200_000 + 1000 * number) for number in range(6)]
        self.put("file", contents[0])
        written = threading.Event()

        def write() -> None:
            bucket = self.make()
            for content in contents * 3:
                bucket.write("file", content)
            written.set()

        seen = []
        with ThreadPoolExecutor(1) as executor:
            writing = executor.submit(write)
            reader = self.make()
            while not (written.is_set() or writing.done()):
                seen.append(reader.read("file"))
            writing.result()
        assert set(seen) <= set(contents)

    def test_one_creates_and_others_learn_that_they_did_not(self) -> None:
        bucket = self.make()
        assert bucket.create("log/1", b"mine")
        assert not self.make().create("log/1", b"theirs")
        assert bucket.create("log/1", b"mine"), "it may be ours, of a try whose answer was lost"
        assert self.content("log/1") == b"mine"
        assert self.keys() == ["log/1"]

    def test_of_many_that_create_at_once_one_wins(self) -> None:
        ready = threading.Barrier(_WRITERS)

        def create(number: int) -> list[bool]:
            bucket = self.make()
            bucket.list("log")  # the door is open
            ready.wait()
            return [bucket.create(f"log/{round_}", b"writer %d" % number) for round_ in range(4)]

        with ThreadPoolExecutor(_WRITERS) as executor:
            made = list(executor.map(create, range(_WRITERS)))
        for round_ in range(4):
            (winner,) = (number for number, wins in enumerate(made) if wins[round_])
            assert self.content(f"log/{round_}") == b"writer %d" % winner
        assert self.keys() == [f"log/{round_}" for round_ in range(4)]

    def test_what_is_placed_takes_the_place_of_what_was_there(self) -> None:
        bucket = self.make()
        self.put("staged/deep/a", b"new")
        self.put("out/a", b"the old one")
        bucket.place("staged/deep/a", 3, "out/a")
        bucket.delete(["staged/deep/a"])
        assert self.content("out/a") == b"new"
        assert self.keys() == ["out/a"]
        with pytest.raises(ObjectGoneError):
            bucket.place("staged/deep/a", 3, "out/a")
        assert self.content("out/a") == b"new"

    def test_deleting_what_is_gone_is_no_error(self) -> None:
        for key in ("a/1", "a/2", "b/3"):
            self.put(key, b"x")
        bucket = self.make()
        bucket.delete([])
        bucket.delete(["a/1", "b/3", "c/4"])
        bucket.delete(["a/1"])
        assert self.keys() == ["a/2"]

    # ------------------------------------------------------------ names

    @pytest.mark.parametrize("key", HOSTILE)
    def test_a_name_is_what_it_is(self, key: str) -> None:
        bucket = self.make()
        bucket.write(key, b"content")
        assert self.keys() == [key]
        (listed,) = bucket.list("")
        assert listed.key == key
        assert bucket.read(key) == bucket.read_range(listed, 0, 7) == b"content"
        bucket.place(key, 7, f"to/{key}")
        bucket.delete([key])
        assert self.keys() == [f"to/{key}"]
        assert not bucket.create(f"to/{key}", b"another")
        bucket.delete([f"to/{key}"])
        assert self.keys() == []
