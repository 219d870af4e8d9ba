"""Lists, structs, maps and lambdas in Spark's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlglot

from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.spark.canonical import canonical
from penstock.engines.spark.lowering import Lowering, UnportableError
from penstock.types import INT32, INT64, JSON, STRING, Field, List, Map, Schema, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROWS = Schema(
    (
        Field("i", INT32),
        Field("s", STRING),
        Field("l", List(INT64)),
        Field("li", List(INT32)),
        Field("ll", List(List(INT32))),
        Field("st", Struct((Field("x", INT32), Field("Y z", STRING)))),
        Field("mp", Map(STRING, INT32)),
        Field("js", JSON),
    )
)


@pytest.fixture(scope="module")
def lowering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lowering]:
    folder: Path = tmp_path_factory.mktemp("engine")
    engine = DuckDBEngine(Limits(2**28, 1), folder)
    yield Lowering(engine.schema_of)
    engine.close()


def _lowered(lowering: Lowering, text: str) -> str:
    return lowering.expression(sqlglot.parse_one(text, dialect="duckdb"), {"": _ROWS}).sql("spark")


@pytest.mark.parametrize(
    ("written", "one_way"),
    [
        ("l[1]", "ARRAY_EXTRACT(l, 1)"),
        ("l[-1]", "ARRAY_EXTRACT(l, -1)"),
        ("l[i]", "ARRAY_EXTRACT(l, i)"),
        ("l[2:]", "LIST_SLICE(l, 2, -1)"),
        ("l[:2]", "LIST_SLICE(l, 1, 2)"),
        ("array_slice(l, 2, 3)", "LIST_SLICE(l, 2, 3)"),
        ("st.x", "STRUCT_EXTRACT(\"st\", 'x')"),
        ("r.st.x", 'STRUCT_EXTRACT("r"."st", \'x\')'),
        ("r.i", "r.i"),
    ],
)
def test_what_can_be_written_in_several_ways_is_written_in_one(written: str, one_way: str) -> None:
    tree = sqlglot.parse_one(written, dialect="duckdb")
    assert canonical(tree, {"r": _ROWS}).sql("duckdb") == one_way


@pytest.mark.parametrize(
    ("written", "spark"),
    [
        ("[i, NULL]", "ARRAY(`i`, CAST(NULL AS INT))"),
        ("{'a': i, 'b': s}", "NAMED_STRUCT('a', `i`, 'b', `s`)"),
        ("MAP {s: i}", "MAP(`s`, `i`)"),
        ("st.X", "`st`.`x`"),
        ("mp['a']", "TRY_ELEMENT_AT(`mp`, 'a')"),
        ("list_filter(l, lambda x: x > 0)", "FILTER(`l`, `x` -> `x` > CAST(0 AS BIGINT))"),
        ("CAST(li AS BIGINT[])", "TRANSFORM(`li`, `element` -> CAST(`element` AS BIGINT))"),
        (
            "list_transform(ll, lambda x: list_filter(x, lambda y: y IS NULL))",
            "TRANSFORM(`ll`, `x` -> FILTER(`x`, `y` -> `y` IS NULL))",
        ),
        (
            "list_filter([st], lambda r: r.x = 1)",
            "FILTER(ARRAY(`st`), `r` -> (`r`.`x`) = 1)",
        ),
        ("list_transform(l, lambda x: {'x': x})", "TRANSFORM(`l`, `x` -> NAMED_STRUCT('x', `x`))"),
        ("l = NULL", "`l` = CAST(NULL AS ARRAY<BIGINT>)"),
    ],
)
def test_nested_values_in_the_words_of_spark(lowering: Lowering, written: str, spark: str) -> None:
    assert _lowered(lowering, written) == spark


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("l < l", "not known to compare the same"),
        ("mp = mp", "not known to compare the same"),
        ("list_distinct(l)", "not known to mean the same"),
        ("list_filter(l, lambda x, n: n > 1)", "only a lambda of one parameter"),
        ("js -> '$.a'", "not known to mean the same"),
        ("string_split(s, '')", "an empty text"),
        ("[x for x in l]", "not known to mean the same"),
    ],
)
def test_what_is_not_proven_is_refused(lowering: Lowering, written: str, why: str) -> None:
    with pytest.raises(UnportableError, match=why):
        _lowered(lowering, written)
