"""The conformance suite of sinks: subclass :class:`SinkSuite`, say how to make the sink and how to read it without it.

Every test writes through the contract of ``connectors/api.py`` and then reads the effect back by ``read_back``, which
must go to the system itself (its own client, a plain reader over the files) and never through the sink.
Tests of a write mode or a capability run for the modes and capabilities that the descriptor declares.
"""

from __future__ import annotations

from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import SinkOptions, deliver, epoch, rows
from penstock.testing.sinks.evolution import Evolution
from penstock.testing.sinks.markers import Markers
from penstock.testing.sinks.merging import Merge
from penstock.testing.sinks.modes import Append, Overwrite
from penstock.testing.sinks.reading import ReadBack
from penstock.testing.sinks.refreshing import Refresh
from penstock.testing.sinks.values import Values
from penstock.testing.sinks.visibility import Visibility


class SinkSuite(Markers, Visibility, Values, Evolution, Append, Overwrite, Merge, Refresh, ReadBack):
    """All of it. A subclass must be named ``Test…`` and set ``descriptor``."""


__all__ = ["SinkConformance", "SinkOptions", "SinkSuite", "deliver", "epoch", "rows"]
