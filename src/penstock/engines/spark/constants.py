"""Constants of expressions in Spark's words: each function takes the text of a DuckDB literal, and raises ValueError with
the reason where it cannot be said on Spark.

Regular expressions go from RE2 (DuckDB's) to Java's, which takes some of the same marks for other things: only what both
read the same way, or what can be written so that they do, is passed on.
"""

from __future__ import annotations

import re
from typing import Final

_SPACES: Final = r"\t\n\f\r "  # RE2's \s; Java's has one more
_CLASSES: Final = frozenset("dDwW")
_CONTROLS: Final = frozenset("tnfr")
_WORD: Final = "[0-9A-Za-z_]"
_EDGE: Final = f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"  # RE2's \\b; Java's knows more letters
_NO_EDGE: Final = f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))"
_SAME_LETTER: Final = {"k": "\u212a", "s": "\u017f"}  # what RE2 takes for the same where case does not matter
_SEPARATORS: Final = re.compile(r"p\{?(?:Z(?![sa-z])|Zs)\}?")
_ESCAPED: Final = re.compile(r"\\(?:p\{\w+\}|p\w|.)", re.DOTALL)
_FLAGS: Final = re.compile(r"\(\?([is]+)\)")
_GROUP: Final = re.compile(r"\?(:|P?<[A-Za-z][A-Za-z0-9]*>)")
_MAX_REPEATS: Final = 1000  # RE2's
_BEFORE, _REST = "penstockBefore", "penstockRest"
_CHARACTERS: Final = 0x110000
_SURROGATES: Final = range(0xD800, 0xE000)
_STRFTIME: Final[dict[str, str]] = {
    "Y": "yyyy",
    "m": "MM",
    "d": "dd",
    "H": "HH",
    "M": "mm",
    "S": "ss",
    "f": "SSSSSS",
    "y": "yy",
    "B": "MMMM",
    "b": "MMM",
    "A": "EEEE",
    "a": "EEE",
    "j": "DDD",
    "I": "hh",
    "p": "a",
}


# ---------------------------------------------------------------- plain


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def some_text(value: str) -> str:
    """A text that is not empty."""
    if not value:
        raise ValueError("an empty text does not mean the same on Spark")
    return value


def count(value: str) -> int:
    """A whole number from 1."""
    if not value.isdigit() or int(value) < 1:
        raise ValueError("only a whole number from 1 means the same on both engines")
    return int(value)


def size(value: str) -> int:
    """A whole number from 0."""
    if not value.isdigit():
        raise ValueError("only a whole number from 0 means the same on both engines")
    return int(value)


def whole(value: str) -> int:
    """Any whole number."""
    if not value.removeprefix("-").isdigit():
        raise ValueError("only a whole number means the same on both engines")
    return int(value)


def below(value: str) -> int:
    """A number below zero, without its sign."""
    if not value.startswith("-") or not value[1:].isdigit() or int(value) == 0:
        raise ValueError("only a whole number means the same on both engines")
    return int(value[1:])


def character(value: str) -> str:
    """The character with this number."""
    if not value.isdigit() or not 0 < int(value) < _CHARACTERS or int(value) in _SURROGATES:
        raise ValueError("there is no character of this number")
    return chr(int(value))


def letters(value: str) -> str:
    """A pattern of LIKE whose letters are those from a to z, where case does not matter."""
    if not value.isascii():
        raise ValueError("characters beyond ASCII do not mean the same on Spark where case does not matter")
    return like(value)


def like(value: str) -> str:
    """A pattern of LIKE without an escape character: Spark has the backslash for one."""
    return value.replace("\\", "\\\\")


# ---------------------------------------------------------------- regular expressions


def quoted(value: str) -> str:
    """A text as a pattern that matches it alone."""
    return _quoted(some_text(value))


def regexp(value: str) -> str:
    """A pattern that is found anywhere in a text."""
    return f"(?d){_java(value)}"


def any_case(value: str) -> str:
    """As :func:`regexp`, where the case of letters does not matter."""
    return regexp(f"(?i){value}")


def every_any_case(value: str) -> str:
    """As :func:`every_regexp`, where the case of letters does not matter."""
    return every_regexp(f"(?i){value}")


def whole_regexp(value: str) -> str:
    """A pattern that the whole of a text matches."""
    return rf"(?d)\A(?:{_java(value)})\z"


def every_regexp(value: str) -> str:
    """A pattern of which every match is replaced: one that matches nothing at all would be found between the halves of a
    character on Spark.
    """
    if re.search(_python(value), "") is not None:
        raise ValueError("a pattern that matches an empty text does not mean the same on Spark")
    return regexp(value)


def first_regexp(value: str) -> str:
    """A pattern of which the first match is replaced, by a pattern of the whole text."""
    return rf"(?d)\A(?<{_BEFORE}>(?s:.*?))(?:{_java(value)})(?<{_REST}>(?s:.*))\z"


def every_replacement(value: str) -> str:
    """What every match is replaced by."""
    return _replacement(value, 0)


def first_replacement(value: str) -> str:
    """What the first match is replaced by, in a pattern of :func:`first_regexp`."""
    return f"${{{_BEFORE}}}{_replacement(value, 1)}${{{_REST}}}"


def _replacement(value: str, shift: int) -> str:
    written, place = "", 0
    while place < len(value):
        mark = value[place]
        if mark == "\\":
            following = value[place + 1 : place + 2]
            if following.isdigit():
                number = int(following)
                if number == 0 and shift:
                    raise ValueError(r"\0 in what the first match is replaced by does not mean the same on Spark")
                if value[place + 2 : place + 3].isdigit():
                    raise ValueError("a digit after the number of a group does not mean the same on Spark")
                written += f"${number + shift if number else 0}"
            elif following == "\\":
                written += "\\\\"
            else:
                raise ValueError("a backslash before anything but a digit or a backslash is an error on DuckDB")
            place += 2
            continue
        written += f"\\{mark}" if mark == "$" else mark
        place += 1
    return written


def _quoted(value: str) -> str:
    return "".join(f"\\{mark}" if mark in r"\.[]{}()*+-?^$|&#~<>=!:" else mark for mark in value)


def _python(value: str) -> re.Pattern[str]:
    try:
        return re.compile(_ESCAPED.sub(_like_python, value))
    except re.error as error:
        raise ValueError(f"the pattern could not be read ({error})") from None


def _like_python(found: re.Match[str]) -> str:
    """An escape as Python reads it; an edge of a word as nothing, for it may stand anywhere."""
    text = found.group()
    return "" if text in {r"\b", r"\B"} else "Z" if text[1] == "p" else text


def _java(value: str) -> str:
    """RE2's pattern in Java's marks. Flags are known at its start."""
    flags = _FLAGS.match(value)
    if flags is None:
        return _body(value, 0, folded=False)
    body = _body(value, flags.end(), folded="i" in flags.group(1))
    return f"(?s:{body})" if "s" in flags.group(1) else f"(?:{body})"


def _body(value: str, place: int, *, folded: bool) -> str:
    written = ""
    while place < len(value):
        mark = value[place]
        if mark == "\\":
            said, place = _escape(value, place + 1, within=False)
            written += said
        elif mark == "[":
            said, place = _class(value, place + 1, folded=folded)
            written += said
        elif mark == "(":
            said, place = _opened(value, place + 1)
            written += said
        elif mark == "$":
            written, place = written + r"\z", place + 1
        elif mark == "^":
            written, place = written + r"\A", place + 1
        elif mark in "*+?" and value[place + 1 : place + 2] == "+":
            raise ValueError("a quantifier after a quantifier does not mean the same on Spark")
        elif mark == "{":
            said, place = _repeated(value, place)
            written += said
        elif folded and mark.isalpha():
            written, place = f"{written}[{_cases(mark)}]", place + 1
        else:
            written, place = written + (f"\\{mark}" if mark in "}#" else mark), place + 1
    return written


def _cases(mark: str) -> str:
    """A letter in both cases."""
    if not mark.isascii():
        raise ValueError("letters beyond a to z do not mean the same on Spark where case does not matter")
    return mark.lower() + mark.upper() + _SAME_LETTER.get(mark.lower(), "")


def _opened(value: str, place: int) -> tuple[str, int]:
    if value[place : place + 1] != "?":
        return "(", place
    found = _GROUP.match(value, place)
    if found is None:
        raise ValueError("flags and looks around do not mean the same on Spark")
    return "(" + found.group().replace("?P<", "?<"), found.end()


def _repeated(value: str, place: int) -> tuple[str, int]:
    found = re.compile(r"\{(\d+)(,\d*)?\}").match(value, place)
    if found is None:
        return r"\{", place + 1
    if any(int(number) > _MAX_REPEATS for number in re.findall(r"\d+", found.group())):
        raise ValueError("DuckDB repeats at most 1000 times")
    if value[found.end() : found.end() + 1] in {"+", "*", "{"}:
        raise ValueError("a quantifier after a quantifier does not mean the same on Spark")
    return found.group(), found.end()


def _escape(value: str, place: int, *, within: bool) -> tuple[str, int]:
    """What a backslash before this place says, and the place after it."""
    found = _SEPARATORS.match(value, place)
    if found is not None:
        return rf"\p{{{'Zs' if 'Zs' in found.group() else 'Z'}}}", found.end()
    mark = value[place : place + 1]
    if mark in {"b", "B"} and not within:
        return (_EDGE if mark == "b" else _NO_EDGE), place + 1
    return _escaped(mark, within=within), place + 1


def _escaped(mark: str, *, within: bool) -> str:
    if mark == "s":
        return _SPACES if within else f"[{_SPACES}]"
    if mark == "S" and not within:
        return f"[^{_SPACES}]"
    if mark in _CLASSES or mark in _CONTROLS:
        return f"\\{mark}"
    if mark and not mark.isalnum() and mark.isascii():
        return f"\\{mark}"
    raise ValueError(rf"\{mark} does not mean the same on Spark")


def _class(value: str, place: int, *, folded: bool) -> tuple[str, int]:
    """What stands between brackets, of which Java takes more marks for its own."""
    written, start = "[", place
    if value[place : place + 1] == "^":
        written, place, start = "[^", place + 1, place + 1
    while place < len(value):
        mark = value[place]
        if mark == "]" and place > start:
            return written + "]", place + 1
        if mark == "\\":
            said, place = _escape(value, place + 1, within=True)
            written += said
            continue
        if value.startswith("[:", place):
            raise ValueError("named classes of characters do not mean the same on Spark")
        if folded and (mark.isalpha() or value[place + 1 : place + 2] == "-"):
            said, place = _folded_range(value, place)
            written += said
            continue
        written += f"\\{mark}" if mark in "[]&^#~" else mark
        place += 1
    raise ValueError("a bracket is not closed")


def _folded_range(value: str, place: int) -> tuple[str, int]:
    """A letter, or a range of them, in both cases."""
    first, dash, last = (value[place + more : place + more + 1] for more in range(3))
    if dash != "-" or last == "]":
        return (_cases(first) if first.isalpha() else re.escape(first)), place + 1
    if not (first.isascii() and last.isascii() and ((first.isdigit() and last.isdigit()) or _ranged(first, last))):
        raise ValueError("this range of characters does not mean the same on Spark where case does not matter")
    if first.isdigit():
        return f"{first}-{last}", place + 3
    low, high = first.lower(), last.lower()
    more = "".join(other for letter, other in _SAME_LETTER.items() if low <= letter <= high)
    return f"{low}-{high}{low.upper()}-{high.upper()}{more}", place + 3


def _ranged(first: str, last: str) -> bool:
    return first.isalpha() and last.isalpha() and first.islower() == last.islower() and first <= last


# ---------------------------------------------------------------- moments


def date_pattern(value: str) -> str:
    """A pattern of strftime as one of Java's."""
    written, plain, place = "", "", 0
    while place < len(value):
        mark = value[place]
        code = value[place + 1 : place + 2] if mark == "%" else None
        place += 1 if code is None else 2
        if code is None or code == "%":
            plain += mark
        elif code in _STRFTIME:
            written += _as_text(plain) + _STRFTIME[code]
            plain = ""
        else:
            raise ValueError(f"%{code} does not mean the same on Spark")
    return written + _as_text(plain)


def _as_text(plain: str) -> str:
    """What stands in a pattern of Java's as it is."""
    escaped = plain.replace("'", "''")
    return f"'{escaped}'" if plain else ""


def unit(value: str) -> str:
    """A unit of time that both engines cut a moment off at."""
    known = {"second", "minute", "hour", "day", "week", "month", "quarter", "year"}
    name = value.lower()
    if name not in known:
        raise ValueError(f"only {', '.join(sorted(known))} mean the same on both engines")
    return name
