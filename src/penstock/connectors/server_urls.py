"""A database server's connection as one URL, ``scheme://user:password@host:port/database?option=value``, or as keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ConfigDict, Field, model_validator

from penstock.connectors.resilience.settings import Care, ConnectRetries
from penstock.fields import reveal, unfit
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE: Final = ("host", "port", "database", "user", "password")


def with_url(example: str) -> ConfigDict:
    """Of a connection's model: the key ``url`` is spelled out before validation, and completed in editors all the same."""

    def complete(schema: dict[str, Any]) -> None:
        url = {"type": "string", "description": f"All of it as one URL: {example}."}
        schema["properties"] = {"url": url, **schema["properties"]}

    return ConfigDict(json_schema_extra=complete)


class ServerConnection(Care):
    """A connection that a URL may say. Of its query, ``url_options`` are the fields that it takes."""

    url_schemes: ClassVar[tuple[str, ...]]
    url_example: ClassVar[str]
    url_options: ClassVar[tuple[str, ...]]

    retries: ConnectRetries = Field(default_factory=ConnectRetries, description="How often and how long to connect.")

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        """``connection: scheme://…``, or ``{url: …}`` with keys that the URL does not say."""
        if isinstance(value, (str, Secret)):
            value = {"url": value}
        if not isinstance(value, dict) or "url" not in value:
            return value
        given = dict(value)
        url = given.pop("url")
        if not isinstance(url, (str, Secret)):
            raise ValueError("url takes text")  # noqa: TRY004 -- pydantic collects ValueErrors
        both = [name for name in _PLACE if name in given]
        if both:
            raise ValueError(f"url says {both[0]} already; keep one of them")
        try:
            return {**cls._fields_of(reveal(url)), **given}
        except ValueError as error:
            raise unfit(url, str(error)) from None

    @classmethod
    def _fields_of(cls, url: str) -> Mapping[str, Any]:
        """Raises ValueError with a message that shows no part of the URL: it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("the URL cannot be understood; special characters in it need percent-encoding") from None
        if parts.scheme not in cls.url_schemes or parts.fragment:
            raise ValueError(f"takes a URL such as {cls.url_example}")
        found: dict[str, Any] = {
            "host": unquote(parts.hostname or ""),
            "port": port,
            "database": unquote(parts.path.removeprefix("/")),
            "user": unquote(parts.username or ""),
            "password": Secret(unquote(parts.password)) if parts.password else None,
        }
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name not in cls.url_options:
                *most, last = cls.url_options
                raise ValueError(f"the URL's query takes {', '.join(most)} and {last}; set others as keys")
            found[name] = value
        return {name: value for name, value in found.items() if value not in ("", None)}
