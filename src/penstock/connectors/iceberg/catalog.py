"""The one door to a catalog: opening it, finding and creating tables, and pyiceberg's exceptions as ours.

Nothing is taken from pyiceberg's own configuration files or from environment variables: a catalog is what its connection
says.

| what happened | class and code |
|---|---|
| pyiceberg is not installed, or the database's driver is not | ConfigError SRC-258 |
| no such table or namespace | None from :meth:`Catalog.find`, else ConfigError SRC-259 |
| the catalog refuses: its address, a login, a right, a request | ConfigError SRC-262 |
| the catalog cannot be reached, is locked or too busy | TransientError SRC-263 |
| the table's metadata is gone or damaged | ConfigError SRC-264 |
| a file is not on the local file system, outside the project, or of the store | ConfigError SRC-265, DOC-232, SRC-360 |
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.iceberg.placing import place_of
from penstock.disk import ensure_folder
from penstock.errors import ConfigError, PenstockError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyiceberg.catalog import Catalog as PyicebergCatalog
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema as IcebergSchema
    from pyiceberg.table import CreateTableTransaction, Table

    from penstock.connectors.api import Context
    from penstock.connectors.iceberg.params import IcebergConnection
    from penstock.connectors.iceberg.places import Place

NO_RETRIES: Final = {"commit.retry.num-retries": "0"}
_SHOWN: Final = 500
# What services add to a table's location, another one each time they are asked (Nessie does).
_NUMBER: Final = re.compile(r"[-_][0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}/?$")


class Catalog:
    """A catalog, opened when first asked. Nothing is created in it but by :meth:`begin`. Not for several threads."""

    def __init__(self, connection: IcebergConnection, resolve: Callable[[str], Path], place: Place) -> None:
        """``resolve``: of the context; it refuses paths outside the project. ``place`` is closed with the catalog."""
        self._connection = connection
        self._resolve = resolve
        self.place = place
        self._opened: PyicebergCatalog | None = None

    @classmethod
    def of(cls, connection: IcebergConnection, context: Context, *, own: str = "table") -> Catalog:
        """``own``: as of ``place_of``."""
        return cls(connection, context.resolve, place_of(connection, context, own))

    @property
    def name(self) -> str:
        """For messages; no secret is in it."""
        told = self._connection
        return told.path or told.uri or f"the database of catalog {told.name}"

    def find(self, table: str) -> Table | None:
        """The table as it stands, in a handle that commits without the library's own retries; None where there is none.

        Raises ConfigError SRC-258, SRC-262, SRC-264, SRC-265, DOC-232, TransientError SRC-263.
        """
        require()
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        if self._file is not None and not self._file.is_file():
            return None
        with self.asked():
            try:
                found = self._open().load_table(table)
            except (NoSuchTableError, NoSuchNamespaceError):
                return None
            except Exception as error:
                if _has_no_tables(error):
                    return None
                raise
            self.folder_of(found.metadata.location)
        properties = {**found.metadata.properties, **NO_RETRIES}
        found.metadata = found.metadata.model_copy(update={"properties": properties})
        return found

    def missing(self, table: str) -> ConfigError:
        """SRC-259, to be raised."""
        return ConfigError("SRC-259", f'there is no Iceberg table "{table}"', detail=f"looked in {self.name}")

    def begin(self, table: str, schema: IcebergSchema, spec: PartitionSpec, location: str) -> CreateTableTransaction:
        """The creation of a table, to be committed with its first rows; its namespace and, in SQL, the catalog's own
        tables are made at once where they are missing. Errors as ``find``, ConfigError SNK-260.
        """
        self._make_room(table)
        with self.asked():
            return self._open().create_table_transaction(table, schema, location, spec, properties=NO_RETRIES)

    def home(self, table: str, schema: IcebergSchema, spec: PartitionSpec) -> str:
        """Where a table that is not there yet will lie: the same place whoever asks, and however often, since writers stage
        their files there before one of them makes the table. Errors as ``begin``.
        """
        told = self._connection
        if told.uri is not None:  # the service says
            self._make_room(table)
            with self.asked():
                staged = self._open().create_table_transaction(table, schema, None, spec)
            location = _NUMBER.sub("", staged.table_metadata.location)
            self.folder_of(location)
            return location
        if told.warehouse is None:
            raise ConfigError(
                "SRC-262",
                f'the catalog of "{table}" has no place for new tables',
                hint="state warehouse in the connection: a folder of the project, or a path in its store",
            )
        return self.place.home(told.warehouse, table)

    def folder_of(self, location: str) -> Path:
        """A table's folder. Errors as ``Place.folder_of``."""
        return self.place.folder_of(location)

    def close(self) -> None:
        """Idempotent."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self.place.close()

    # ------------------------------------------------------------ opening

    @property
    def _file(self) -> Path | None:
        return None if self._connection.path is None else self._resolve(self._connection.path).resolve()

    def _open(self) -> PyicebergCatalog:
        if self._opened is None:
            self._opened = self._rest() if self._connection.uri is not None else self._sql()
        return self._opened

    def _sql(self) -> PyicebergCatalog:
        from pyiceberg.catalog.sql import SqlCatalog
        from sqlalchemy import URL

        if self._file is not None:
            uri = URL.create("sqlite", database=str(self._file)).render_as_string()
        else:
            uri = revealed(self._connection.database)
        options = {**self.place.io, "init_catalog_tables": "false"}
        return SqlCatalog(self._connection.name, uri=uri, **options)

    def _rest(self) -> PyicebergCatalog:
        from pyiceberg.catalog.rest import RestCatalog

        told = self._connection
        options = {
            "uri": told.uri,
            "warehouse": told.warehouse,
            "token": told.token.reveal() if told.token is not None else None,
            "credential": told.credential.reveal() if told.credential is not None else None,
            "oauth2-server-uri": told.oauth2_uri,
            "scope": told.scope,
            **self.place.io,
        }
        return RestCatalog(told.name, **{key: value for key, value in options.items() if value is not None})

    def _make_room(self, table: str) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        require()
        if self._file is not None:
            ensure_folder(self._file.parent)
        with self.asked():
            opened = self._open()
            if isinstance(opened, SqlCatalog):
                opened.create_tables()
            parts = table.split(".")[:-1]
            for depth in range(1, len(parts) + 1):
                opened.create_namespace_if_not_exists(tuple(parts[:depth]))

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Classifies what pyiceberg raises while the catalog or a table's metadata is read."""
        try:
            yield
        except (PenstockError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise ConfigError("SRC-264", "the metadata of an Iceberg table is gone", detail=str(error)) from None
            if isinstance(error, PenstockError) or not _is_of_the_network(error):
                raise
            raise self._unreachable(error) from None
        except Exception as error:  # noqa: BLE001 -- of many libraries, sorted by the table above
            raise self._classified(error) from None

    def _classified(self, error: Exception) -> PenstockError:
        import pyiceberg.exceptions as known
        from sqlalchemy import exc

        match error:
            case exc.NoSuchModuleError() | ImportError():
                return ConfigError(
                    "SRC-258", "the driver of a catalog's database is not installed", detail=self._redacted(error)
                )
            case (
                exc.OperationalError()
                | exc.TimeoutError()
                | known.ServerError()
                | known.ServiceUnavailableError()
                | known.TooManyRequestsError()
                | known.CommitStateUnknownException()
            ):
                return self._unreachable(error)
            case exc.SQLAlchemyError() | known.RESTError():
                return ConfigError("SRC-262", f'the catalog "{self.name}" refuses', detail=self._redacted(error))
            case known.ValidationError() | ValueError() | KeyError() | TypeError():
                return ConfigError(
                    "SRC-264", "the metadata of an Iceberg table cannot be read", detail=self._redacted(error)
                )
            case _:
                return ConfigError("SRC-262", f'the catalog "{self.name}" refuses', detail=self._redacted(error))

    def _unreachable(self, error: Exception) -> TransientError:
        return TransientError("SRC-263", f'the catalog "{self.name}" cannot be reached', detail=self._redacted(error))

    def _redacted(self, error: Exception) -> str:
        told = self._connection
        text = brief(error)
        for secret in (told.database, told.token, told.credential):
            for hidden in hidden_in(secret):
                text = text.replace(hidden, "***")
        return text


def brief(error: BaseException) -> str:
    """The first line of what an exception says."""
    return f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:_SHOWN]


def revealed(text: Any) -> str:
    """A text that may be a secret, for a driver's call."""
    return text.reveal() if hasattr(text, "reveal") else str(text)


def hidden_in(text: Any) -> tuple[str, ...]:
    """What no message may show of it; of a URL its password, too."""
    from urllib.parse import urlsplit

    if text is None:
        return ()
    whole = revealed(text)
    password = urlsplit(whole).password if "://" in whole else None
    return tuple(hidden for hidden in (whole, password) if hidden)


def require() -> None:
    """ConfigError SRC-258 where the optional dependencies are not installed."""
    try:
        import pyiceberg_core  # noqa: F401
        import sqlalchemy  # noqa: F401
        from pyiceberg.catalog import sql  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "SRC-258",
            "Iceberg tables need the optional dependencies that are not installed",
            detail=str(error),
            hint="pip install 'penstock[iceberg]'",
        ) from None
    # What it warns of is said by our own errors; nobody's standard error is written to.
    logging.getLogger("pyiceberg").addHandler(logging.NullHandler())


def _has_no_tables(error: Exception) -> bool:
    """Whether a database has no catalog in it: to be looked for in what the driver says, not in the statement."""
    return "iceberg_tables" in str(getattr(error, "orig", ""))


def _is_of_the_network(error: OSError) -> bool:
    """What ``requests`` raises is an OSError, too."""
    return type(error).__module__.partition(".")[0] == "requests"
