"""Connections to HDFS: what they take, what they are called, and what their requests carry where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from penstock.clock import SystemClock
from penstock.connectors.files.places import FileConnectionParam, open_bucket, place_url
from penstock.connectors.hdfs import namenode
from penstock.errors import ConfigError
from webhdfs import webhdfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.objects.bucket import Bucket
    from webhdfs import Cluster

ADAPTER: TypeAdapter[Any] = TypeAdapter(FileConnectionParam)
HDFS = {"type": "hdfs", "endpoint": "https://nn.example:9871", "user": "etl"}
TOKEN = "hunter2-of-the-namenode"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with webhdfs() as running:
        yield running


def bucket(cluster: Cluster, **more: Any) -> Bucket:
    told = {**cluster.connection("lake"), "retries": {"attempts": 1}, **more}
    if "token" in told:
        del told["user"]
    return open_bucket(ADAPTER.validate_python(told), SystemClock())


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"type": "hdfs", "user": "etl"}, "endpoint"),
        ({"type": "hdfs", "endpoint": "https://nn:9871"}, "needs one of user, token"),
        ({**HDFS, "token": TOKEN}, "needs one of user, token"),
        ({**HDFS, "endpoint": "http://nn:9870"}, "allow_http: true"),
        ({**HDFS, "endpoint": "https://nn:9871/lake"}, "has a path"),
        ({**HDFS, "prefix": "a/../b"}, "without"),
        ({**HDFS, "datanodes": {"dn1": "gateway:9864"}}, "no host:port"),
    ],
)
def test_what_does_not_fit_together_is_refused(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python(stated)


def test_a_folder_is_named_without_its_token() -> None:
    connection = ADAPTER.validate_python(
        {"type": "hdfs", "endpoint": "https://nn.example:9871", "token": TOKEN, "prefix": "/raw//2024/"}
    )
    assert place_url(connection) == "swebhdfs://nn.example:9871/raw/2024"
    assert TOKEN not in f"{connection!r}{connection.model_dump()}{connection.model_dump_json()}"


def test_without_its_library_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namenode, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as failure:
        open_bucket(ADAPTER.validate_python(HDFS), SystemClock()).list("")
    assert failure.value.code == "NET-170"


def test_an_address_that_is_not_allowed_is_not_called(cluster: Cluster) -> None:
    with pytest.raises(ConfigError) as failure:
        bucket(cluster, allow_private=[]).list("")
    assert failure.value.code == "NET-103"
    assert cluster.seen == []


def test_a_datanode_that_is_not_allowed_is_not_called(cluster: Cluster) -> None:
    cluster.put("/lake/a", b"x")
    with pytest.raises(ConfigError) as failure:
        bucket(cluster, allow_private=[cluster.address]).read("a")
    assert failure.value.code == "NET-103"
    assert [seen[0] for seen in cluster.seen] == [cluster.address]


def test_a_datanode_is_called_where_the_connection_says(cluster: Cluster) -> None:
    cluster.put("/lake/a", b"x")
    real, cluster.datanode = cluster.datanode, "dn-1.cluster.example:9864"
    assert bucket(cluster, datanodes={"dn-1.cluster.example:9864": real}).read("a") == b"x"
    assert [seen[0] for seen in cluster.seen] == [cluster.address, real]
    assert cluster.seen[-1][4]["Host"] == real


def test_nothing_of_the_machine_goes_along(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Neither its proxies and passwords, nor a cookie that one server gave to another at the same host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password swordfish\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    opened = bucket(cluster)
    opened.write("a", b"x")
    assert opened.read("a") == b"x"
    for *_, headers in cluster.seen:
        assert not {"Authorization", "Cookie"} & set(headers)


def test_a_token_goes_to_the_namenode_alone_and_into_no_message(cluster: Cluster) -> None:
    """What the namenode itself writes into the address of a datanode, it has given to it."""
    opened = bucket(cluster, token=TOKEN)
    opened.list("")
    assert cluster.seen[-1][3]["delegation"] == TOKEN
    assert "user.name" not in cluster.seen[-1][3]
    cluster.put("/lake/a", b"x")
    assert opened.read("a") == b"x"
    assert [seen[0] for seen in cluster.seen[-2:]] == [cluster.address, cluster.datanode]
    cluster.before = _refuses(403, "AccessControlException", f"Denied: token {TOKEN} may not")
    with pytest.raises(ConfigError) as failure:
        opened.list("")
    assert TOKEN not in failure.value.problems[0].render()
    assert failure.value.__cause__ is None


def _refuses(status: int, name: str, message: str = "") -> Any:
    from webhdfs import RefusalError

    def before(operation: str, path: str) -> None:
        raise RefusalError(status, name, message)

    return before
