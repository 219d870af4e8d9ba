"""Makes texts that mean the same look the same: Unicode form, white space, case, HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field
from sqlglot import exp

from penstock.fields import Names, NullWord
from penstock.graph.nodes import Column
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.steps.rewrite import rewrite, text_columns
from penstock.trees import call, column

if TYPE_CHECKING:
    from penstock.steps.api import Scope

# RE2's \s knows ASCII only; \p{Z} are Unicode's separators, the no-break space among them.
_SPACE: Final = r"[\s\p{Z}]"
_HIDDEN: Final = r"(?is)<!--.*?-->|<(?:script\b.*?</script|style\b.*?</style)\s*>"
_BREAKING: Final = (
    r"(?is)</?(?:address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|"
    r"ol|option|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul)(?:[\s/][^>]*)?>"
)
_TAG: Final = r"(?is)</?[a-z][^<>]*>|<!doctype[^>]*>"
# The ampersand last: `&amp;lt;` is the text `&lt;`.
_ENTITIES: Final = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#39;", "'"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
)


class NormalizeTextParams(StepParams):
    """``normalize_text: [a, b]`` or with parameters."""

    short: ClassVar[str | None] = "columns"

    columns: Names | None = Field(default=None, description="The texts; without it every column that is text.")
    trim: bool = Field(default=True, description="Whether white space at both ends goes.")
    collapse_space: bool = Field(default=True, description="Whether a run of white space becomes one space.")
    case: Literal["lower", "upper"] | None = Field(
        default=None, description="The case of all letters; default as it is."
    )
    strip_html: bool = Field(
        default=False,
        description="Whether tags, comments, scripts and styles go, and the five entities of XML are resolved.",
    )
    unicode: Annotated[Literal["nfc", "null"], NullWord] = Field(
        default="nfc", description="Unicode's form of composed characters, or null for leaving them as they are."
    )


def make(params: NormalizeTextParams, scope: Scope) -> str:
    """One Project: in = out; null stays null, and a text without anything left is empty, not null.

    Raises ConfigError CMP-203 (no such column), CMP-251 (not text), CMP-252 (there is no text column).
    """
    names = text_columns(scope, params.columns)
    places = dict(zip(names, (getattr(name, "at", None) for name in params.columns or names), strict=True))
    return rewrite(scope, [Column(name, _normal(params, column(name)), places[name]) for name in names])


def _normal(params: NormalizeTextParams, value: exp.Expr) -> exp.Expr:
    if params.strip_html:
        value = _without_html(value)
    if params.unicode == "nfc":
        value = call("nfc_normalize", value)
    if params.collapse_space:
        value = _replaced(value, f"{_SPACE}+", " ")
    if params.trim:
        value = _replaced(value, f"^{_SPACE}+|{_SPACE}+$", "")
    match params.case:
        case "lower":
            return exp.Lower(this=value)
        case "upper":
            return exp.Upper(this=value)
        case None:
            return value


def _without_html(value: exp.Expr) -> exp.Expr:
    """Tags that break a line or a cell become a space, others nothing: ``a<br>b`` is two words, ``<b>a</b>b`` is one."""
    value = _replaced(_replaced(_replaced(value, _HIDDEN, " "), _BREAKING, " "), _TAG, "")
    for entity, character in _ENTITIES:
        value = call("replace", value, exp.Literal.string(entity), exp.Literal.string(character))
    return value


def _replaced(value: exp.Expr, pattern: str, text: str) -> exp.Expr:
    parts = [exp.Literal.string(part) for part in (pattern, text, "g")]
    return call("regexp_replace", value, *parts)


NORMALIZE_TEXT = Descriptor(
    name="normalize_text",
    group="steps",
    summary="Trims texts, collapses white space, unifies Unicode and case, strips HTML.",
    params=NormalizeTextParams,
    make=make,
    example="normalize_text: {columns: [name], case: lower, strip_html: true}",
    short="columns",
    notes=("HTML is stripped by patterns, which is meant for clean-up and is no protection against hostile markup.",),
)
