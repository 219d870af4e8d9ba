"""Constants of expressions in Spark's words: each function takes the text of a DuckDB literal, and raises ValueError with
the reason where it cannot be said on Spark. The allow-list names them.
"""

from penstock.engines.spark.constants.moments import (
    even_interval,
    even_width,
    interval,
    moment_pattern,
    months,
    reading_pattern,
    whole_days,
    width_in_seconds,
    zone,
)
from penstock.engines.spark.constants.plain import (
    below,
    character,
    count,
    letters,
    like,
    power_of_ten,
    size,
    some_text,
    text,
    whole,
)
from penstock.engines.spark.constants.regexps import (
    any_case,
    every_any_case,
    every_regexp,
    every_replacement,
    first_regexp,
    first_replacement,
    quoted,
    regexp,
    whole_regexp,
)

__all__ = [
    "any_case",
    "below",
    "character",
    "count",
    "even_interval",
    "even_width",
    "every_any_case",
    "every_regexp",
    "every_replacement",
    "first_regexp",
    "first_replacement",
    "interval",
    "letters",
    "like",
    "moment_pattern",
    "months",
    "power_of_ten",
    "quoted",
    "reading_pattern",
    "regexp",
    "size",
    "some_text",
    "text",
    "whole",
    "whole_days",
    "whole_regexp",
    "width_in_seconds",
    "zone",
]
