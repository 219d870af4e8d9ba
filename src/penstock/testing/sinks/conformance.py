"""What the test of a sink provides to its conformance suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pytest

from penstock.connectors.api import WriteMode
from penstock.errors import FatalError
from penstock.structs import replace
from penstock.testing.compare import assert_same
from penstock.testing.sinks.deliveries import APPEND, BY_PART, MERGE, OVERWRITE, SinkOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from penstock.connectors.api import Sink
    from penstock.registry import Capability, Descriptor


class SinkConformance(ABC):
    """What a subclass provides; the tests stand in the classes below."""

    descriptor: ClassVar[Descriptor]
    # Logical types (as in data.TYPES) that the sink refuses with SNK-110.
    refuses: ClassVar[Collection[str]] = ()
    # Whether columns whose names differ only in case may stand side by side; else they are refused with SNK-113.
    case_sensitive_names: ClassVar[bool] = False
    # Hostile names that the system cannot hold and the sink therefore refuses with SNK-110.
    refused_names: ClassVar[Collection[str]] = ()
    # Strings with NUL are refused by a DataError from the writer or the commit.
    refuses_nul: ClassVar[bool] = False
    # NaN and the infinities are refused by a DataError from the writer or the commit.
    refuses_nonfinite: ClassVar[bool] = False
    # Partition values (of data.PARTITION_VALUES) that the system cannot tell from null; refused by a DataError.
    refused_partition_values: ClassVar[Collection[str]] = ()
    # Whether a merge tells rows that it left as they were from updated ones.
    tells_unchanged: ClassVar[bool] = True
    # Whether on_schema_change: evolve can widen a column's type.
    widens: ClassVar[bool] = True

    @abstractmethod
    def make(self, options: SinkOptions) -> Sink:
        """A new handle, as after a restart, on the one target of the running test; the target is new for each test."""

    @abstractmethod
    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        """What a reader of the system sees now, as columns of that schema (types as near as the system tells them,
        columns in the target's order); None where there is no target. Never through the sink.
        """

    @abstractmethod
    def leftovers(self) -> Collection[str]:
        """Names of whatever lies at the target that is neither committed rows nor markers: staging files, tables."""

    def as_stored(self, table: pa.Table) -> pa.Table:
        """The table as the system keeps it, where that is documented to differ (a type it lacks kept as text …)."""
        return table

    # -- for the tests

    @pytest.fixture(autouse=True)
    def _handles(self) -> Iterator[None]:
        self._made: list[Sink] = []
        yield
        for sink in self._made:
            sink.close()
            sink.close()

    def sink(self, options: SinkOptions = APPEND) -> Sink:
        """A handle that is closed after the test."""
        made = self.make(options)
        self._made.append(made)
        return made

    def needs(self, *wanted: Capability | WriteMode) -> None:
        """Skip the test unless the descriptor declares all of these."""
        declared = {*self.descriptor.capabilities, *map(WriteMode, self.descriptor.modes)}
        missing = [item.value for item in wanted if item not in declared]
        if missing:
            pytest.skip(f"{self.descriptor.name} does not declare {', '.join(missing)}")

    def usual(self) -> SinkOptions:
        """The first mode the descriptor names, with what that mode needs."""
        mode = WriteMode(self.descriptor.modes[0])
        return {
            WriteMode.APPEND: APPEND,
            WriteMode.OVERWRITE: replace(OVERWRITE, allow_empty=True),
            WriteMode.OVERWRITE_PARTITIONS: BY_PART,
            WriteMode.MERGE: MERGE,
        }[mode]

    def assert_holds(self, *tables: pa.Table) -> None:
        """The target holds exactly these rows."""
        expected = self.as_stored(pa.concat_tables(tables))
        assert_same(self.read_back(tables[0].schema), expected)

    def assert_refused_as_foreign(self, act: Callable[[], object]) -> None:
        with pytest.raises(FatalError) as caught:
            act()
        assert caught.value.code == "SNK-120"
