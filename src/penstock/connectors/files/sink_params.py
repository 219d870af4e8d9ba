"""The parameters that the sinks of files share, as documents write them."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.files.places import FileConnectionParam, place_url
from penstock.connectors.params import SinkParams
from penstock.fields import Name
from penstock.registry import Capability

_EXTENSION: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")


def is_one_file(path: str) -> bool:
    """Whether a path names one file: its last part has an extension (``out/prices.csv``, not ``out/v1.2``)."""
    return _EXTENSION.search(path) is not None


class FileSinkParams(SinkParams):
    """A folder of files, or one file."""

    connection: FileConnectionParam | None = Field(
        default=None,
        description="The object store or HDFS they are written to, or a connection of penstock.yml; unsaid, this machine's folders.",
    )
    path: str = Field(
        min_length=1,
        description="A folder, or one file where the path has an extension (mode overwrite only), relative to the project, "
        "or to the connection's prefix.",
    )
    partition_by: list[Name] = Field(
        default_factory=list,
        description="Columns whose values divide the folder into column=value folders; the files leave them out.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> FileSinkParams:
        if self.mode is WriteMode.MERGE:
            raise ValueError("mode merge is for tables; files take append, overwrite and overwrite_partitions")
        if self.keys or self.order_by:
            raise ValueError("keys and order_by are for mode merge, which files do not have")
        if len(set(self.partition_by)) != len(self.partition_by):
            raise ValueError("partition_by names a column twice")
        if self.mode is WriteMode.OVERWRITE_PARTITIONS and not self.partition_by:
            raise ValueError("mode overwrite_partitions needs partition_by")
        if is_one_file(self.path) and (self.mode is not WriteMode.OVERWRITE or self.partition_by):
            raise ValueError(
                "the path has an extension, so that it is one file: write `mode: overwrite` and no partition_by, "
                "or a path without an extension, which is a folder"
            )
        return self

    def elsewhere(self) -> str | None:
        return None if self.connection is None else f"{place_url(self.connection)}/{self.path}"


TextCompression = Literal["none", "gzip", "zstd"] | None
_BY_EXTENSION: Final[dict[str, Literal["gzip", "zstd"]]] = {".gz": "gzip", ".zst": "zstd"}
_EXTENSION_OF: Final = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def compression_of(path: str, asked: TextCompression) -> Literal["none", "gzip", "zstd"]:
    """What is asked for, else what the path's last extension says."""
    if asked is not None:
        return asked
    return next((codec for ending, codec in _BY_EXTENSION.items() if path.endswith(ending)), "none")


def with_compression(extension: str, compression: Literal["none", "gzip", "zstd"]) -> str:
    """The ending of a file of that kind, with the one that its compression adds."""
    return extension + _EXTENSION_OF[compression]


# What every format of files declares.
MODES: Final = (WriteMode.APPEND.value, WriteMode.OVERWRITE.value, WriteMode.OVERWRITE_PARTITIONS.value)
CAPABILITIES: Final = frozenset(
    {Capability.PARALLEL, Capability.NATIVE, Capability.LOCAL, Capability.ATOMIC_COMMIT, Capability.READ_BACK}
)
NOTES: Final = (
    "A reader that lists the folder sees no row before its commit, none twice, and no old row beside those that replace it.",
    "While a commit is published, a reader that lists the folder may see a part of it: of an overwrite fewer rows.",
    "One file is replaced by a rename: its readers see the old content or the new one.",
    "A link is followed: where one file is meant, what the link leads to is replaced, and the link stays.",
    "The folder _penstock beside the data is the sink's memory of commits; without it the next run starts anew.",
    "In an object store files are staged, committed by one object that is made if it is not there yet, and then copied to their places; the store must honour If-None-Match.",
    "In HDFS files are staged, committed by a rename that fails where another has committed, and then moved to their places.",
    "Google Cloud Storage is tested no further than to the making of its driver.",
    "Null in a partition column is the folder column=__HIVE_DEFAULT_PARTITION__, other values are percent-encoded.",
)
