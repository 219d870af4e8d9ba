"""``ledger:`` of the project file: the PostgreSQL database that keeps the ledger of all who work on the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, create_model, field_validator

from penstock.document.components import Components, places_of
from penstock.document.validation import models_in
from penstock.errors import InternalError
from penstock.fields import Params
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from penstock.document.components import Catalogue
    from penstock.document.tree import Mapping
    from penstock.errors import Location, Problem
    from penstock.registry import Descriptor

CONNECTOR: Final = "postgres"  # whose connection it takes
_MAX_NAME_BYTES: Final = 63


class LedgerSettings(Params):
    """``ledger:`` of penstock.yml and of an environment; ``connection`` is the connector's own model."""

    connection: Any = Field(description="The PostgreSQL server: a connection of penstock.yml, or a URL.")
    schema_: str = Field(
        default="penstock",
        alias="schema",
        min_length=1,
        description="The schema with the ledger's tables, for nothing else; made where there is none.",
    )

    @field_validator("schema_")
    @classmethod
    def _is_not_cut_off(cls, value: str) -> str:
        if len(value.encode()) > _MAX_NAME_BYTES:
            raise ValueError(f"takes a name of at most {_MAX_NAME_BYTES} bytes, which PostgreSQL does not cut off")
        return value


class LedgerUse(Frozen):
    """Where the ledger is kept; ``places`` has where the values of its keys stand."""

    settings: LedgerSettings
    at: Location
    places: AbstractMapping[str, Location] = field(default_factory=dict)


class LedgerReading(Frozen):
    """As ``read.Reading``, of a ledger."""

    ledger: LedgerUse | None
    problems: tuple[Problem, ...]
    secret_places: frozenset[Location]


def ledger_model(connector: Descriptor) -> type[LedgerSettings]:
    """The settings, with what that connector takes for a connection."""
    connection = next(models_in(connector.params.model_fields["connection"].annotation))
    stated = LedgerSettings.model_fields["connection"].description
    return create_model("LedgerSettings", __base__=LedgerSettings, connection=(connection, Field(description=stated)))


def read_ledger(node: Mapping, *, catalogue: Catalogue, connections: Mapping) -> LedgerReading:
    """What ``ledger:`` says, validated; its placeholders and those of the connection that it names are replaced."""
    connector = catalogue.find("sources", CONNECTOR)
    if connector is None:
        raise InternalError("INT-900", f'the connector "{CONNECTOR}" is not registered')
    reader = Components(catalogue=catalogue, connections=connections)
    reader.check_installed(connector, node.at)
    settings = reader.settings(ledger_model(connector), node, kind=CONNECTOR, owner="the ledger", at=node.at)
    use = LedgerUse(settings, node.at, places_of(node)) if settings is not None else None
    return LedgerReading(use, tuple(reader.problems), frozenset(reader.secret_places))
