"""What a report says of a rule's settings: as the document gives them, the values hidden where a column has labels."""

from datetime import timedelta

import pytest

from penstock.rules.about import about, columns_named, told_of
from penstock.rules.distribution import DistributionParams
from penstock.rules.expression import ExpressionParams
from penstock.rules.freshness import FreshnessParams
from penstock.rules.in_set import InSetParams
from penstock.rules.json_schema import JsonSchemaParams
from penstock.rules.not_null import NotNullParams
from penstock.rules.null_share import NullShareParams
from penstock.rules.range import RangeParams


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (
            RangeParams(min=-50, column="price", below=1.5, on_fail="warn", weight=3, name="n", max_rows=2),
            {"column": "price", "min": "-50", "below": "1.5"},
        ),
        (NotNullParams(columns=["a", "b"]), {"columns": "a, b"}),
        (InSetParams(column="k", values=["x", 2, True]), {"column": "k", "values": "x, 2, true"}),
        (ExpressionParams(condition="low\n  <= high"), {"condition": "low <= high"}),
        (FreshnessParams(column="day", within=timedelta(hours=36)), {"column": "day", "within": "36 h"}),
        (NullShareParams(columns="a", max="2.5 %"), {"columns": "a", "max": "2.5 %"}),
        (JsonSchemaParams(column="j", schema={"type": "object"}), {"column": "j", "schema": "{type: object}"}),
        (
            DistributionParams(column="p", mean={"min": 2, "drift": "20 %"}, quantiles={"p99": {"max": 3}}),
            {"column": "p", "mean": "{min: 2.0, drift: 20 %}", "quantiles": "{p99: {max: 3.0}}"},
        ),
    ],
)
def test_settings_are_told_as_the_document_says_them(params, told):
    assert dict(about(params)) == told


def test_many_values_are_told_by_the_first_of_them():
    (_, (_, told)) = about(InSetParams(column="k", values=list(range(1000))))
    assert (told[:7], told[-1], len(told)) == ("0, 1, 2", "…", 201)


def test_of_a_labelled_column_no_value_is_told():
    params = InSetParams(column="k", values=["secret"])
    assert told_of(about(params), masked=True) == {"column": "k", "values": "***"}
    assert columns_named(params) == {"k"}
