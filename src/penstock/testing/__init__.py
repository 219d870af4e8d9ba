"""For the tests of connectors, here and in other projects: conformance suites, hostile data, a clock that obeys.

A connector's test subclasses :class:`penstock.testing.sinks.SinkSuite` or :class:`penstock.testing.sources.SourceSuite`
(where the source spools, :class:`penstock.testing.spooling.SpoolingSuite` too) and says how to make it, how to read the
effect back without it, and what it is known not to hold. Nothing but tests imports this package.
"""

import pytest

pytest.register_assert_rewrite(
    "penstock.testing.compare",
    "penstock.testing.delivery",
    "penstock.testing.sinks",
    "penstock.testing.sources",
    "penstock.testing.spooling",
)
