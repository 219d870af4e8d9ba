"""Every error code, once: its class and what it means. The reference page and ``penstock errors`` print this table.

Areas: DOC document, CMP compile, PLN plan, ENG engine, SRC source, SNK sink, NET outgoing requests, LED ledger,
RUN run, CLI command line, INT our own bugs. A code keeps its meaning forever; a retired code is never used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ErrorClass = Literal["ConfigError", "DataError", "TransientError", "FatalError", "InternalError"]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """``title`` names the situation in a few words; ``text`` says what happened and what to do, for the docs."""

    code: str
    error_class: ErrorClass
    title: str
    text: str


_ROWS: tuple[tuple[str, ErrorClass, str, str], ...] = (
    # -- DOC: reading documents
    ("DOC-100", "ConfigError", "file cannot be read", "The document does not exist or may not be read."),
    (
        "DOC-101",
        "ConfigError",
        "document too large",
        "A document has at most 1 MiB; split it, or move data out of it into files.",
    ),
    (
        "DOC-102",
        "ConfigError",
        "document is not UTF-8",
        "The bytes of the document are not UTF-8 text; save the file in UTF-8, with or without byte order mark.",
    ),
    (
        "DOC-103",
        "ConfigError",
        "character not allowed",
        "A control character, or a line separator that editors count differently, stands in the document; write it as an escape in double quotes.",
    ),
    ("DOC-104", "ConfigError", "document is empty", "The document holds nothing but white space and comments."),
    ("DOC-105", "ConfigError", "syntax error", "The document is neither valid YAML nor JSON at this place."),
    (
        "DOC-106",
        "ConfigError",
        "tab as indentation",
        "YAML indents with spaces only; a tab stands where the indentation is.",
    ),
    (
        "DOC-107",
        "ConfigError",
        "document ends too early",
        "A quote, bracket, brace or key is opened and the document ends before it is closed: perhaps the file was cut.",
    ),
    (
        "DOC-108",
        "ConfigError",
        "nested too deeply",
        "Lists and maps are nested deeper than 50 levels, aliases included.",
    ),
    ("DOC-109", "ConfigError", "too many values", "The document holds more than 100,000 keys and values."),
    (
        "DOC-110",
        "ConfigError",
        "unknown alias",
        "An alias (`*name`) names no anchor (`&name`) before it; a text that starts with `*` needs quotes.",
    ),
    (
        "DOC-111",
        "ConfigError",
        "aliases expand too far",
        "With every alias written out the document would be larger than its bounds: 100,000 values, 4 MiB of text.",
    ),
    (
        "DOC-112",
        "ConfigError",
        "alias inside itself",
        "An alias stands inside the value that its anchor names, so that it would never end.",
    ),
    ("DOC-113", "ConfigError", "duplicate key", "A map holds the same key twice; remove or rename one of them."),
    (
        "DOC-114",
        "ConfigError",
        "key is not a text",
        "A key is a number, a boolean, null, a list or a map; put it in quotes where a text is meant.",
    ),
    (
        "DOC-115",
        "ConfigError",
        "tag not allowed",
        "A value carries a YAML tag (`!name`); types come from the fields, never from tags.",
    ),
    (
        "DOC-116",
        "ConfigError",
        "several documents",
        "The file holds more than one document (`---`); a file is one document.",
    ),
    (
        "DOC-117",
        "ConfigError",
        "merge key",
        "Merge keys (`<<`) are not supported; environments merge over the base, aliases may stand as values.",
    ),
    (
        "DOC-118",
        "ConfigError",
        "number out of range",
        "A number is too large for a 64-bit float, or longer than 1,000 characters.",
    ),
    (
        "DOC-119",
        "ConfigError",
        "character not allowed in a text",
        "An escape stands for NUL or for half of a surrogate pair, which no text may hold.",
    ),
    (
        "DOC-150",
        "ConfigError",
        "placeholder not understood",
        "A `${` starts something that is no placeholder, or is not closed; placeholders are `${env.NAME}`, `${param.NAME}`, `${secret.NAME}`, and `$${` stands for `${` itself.",
    ),
    ("DOC-151", "ConfigError", "unknown kind of placeholder", "Placeholders are of the kinds env, param and secret."),
    (
        "DOC-152",
        "ConfigError",
        "unknown parameter",
        "A placeholder names a parameter that the document does not declare under `params`, or stands in a parameter's default.",
    ),
    (
        "DOC-153",
        "ConfigError",
        "environment variable not set",
        "A placeholder names an environment variable that is not set, or whose bytes are not UTF-8.",
    ),
    (
        "DOC-154",
        "ConfigError",
        "text too long after replacement",
        "With its placeholders replaced a text has more than 1 MiB, or the document more than 4 MiB.",
    ),
    ("DOC-155", "ConfigError", "placeholder in a key", "Placeholders stand in values; keys are written out."),
    (
        "DOC-156",
        "ConfigError",
        "null inside a text",
        "A parameter without a value stands inside a longer text; give it a value, or a default.",
    ),
    (
        "DOC-157",
        "ConfigError",
        "placeholder inside SQL quotes",
        "In SQL a placeholder is a value; it can stand inside '...' and \"...\", but not inside $$...$$, E'...' or a comment's end.",
    ),
    (
        "DOC-158",
        "ConfigError",
        "wrong value of a parameter",
        "The value given for a parameter is not of its declared type.",
    ),
    (
        "DOC-159",
        "ConfigError",
        "parameter not declared",
        "A value is given for a parameter that the document does not declare.",
    ),
    (
        "DOC-160",
        "ConfigError",
        "wrong declaration of a parameter",
        "An entry of `params` has an unknown key or type, or a name that is no lower-case word.",
    ),
    ("DOC-161", "ConfigError", "parameter without a value", "A parameter has neither a given value nor a default."),
    # -- DOC-190..199: secrets
    (
        "DOC-190",
        "ConfigError",
        "no such secret",
        "A placeholder names a secret that is neither in PENSTOCK_SECRET_NAME nor in the project's secrets; an empty variable counts as not set.",
    ),
    (
        "DOC-191",
        "ConfigError",
        "secrets file not usable",
        "The file of secrets, or of their key, cannot be read or written, is cut off, or is not what its place says.",
    ),
    (
        "DOC-192",
        "ConfigError",
        "secrets file altered or foreign",
        "The encrypted secrets were changed after Penstock wrote them, or belong to another project.",
    ),
    (
        "DOC-193",
        "ConfigError",
        "private file open to others",
        "A file of secrets or of a key may be used by others than its owner; its mode must be 0600.",
    ),
    (
        "DOC-194",
        "ConfigError",
        "no key for the secrets",
        "The project has encrypted secrets, and neither PENSTOCK_KEY nor a key file opens them.",
    ),
    ("DOC-195", "ConfigError", "not a key", "PENSTOCK_KEY or the key file does not hold 32 bytes in base64."),
    (
        "DOC-196",
        "ConfigError",
        "another key",
        "The encrypted secrets were written with another key than the one at hand.",
    ),
    (
        "DOC-197",
        "ConfigError",
        "secret cannot be set",
        "The name is not letters, digits and _, differs from another in case only, or the text is empty, too long or not text.",
    ),
    # -- DOC-200..249: pipelines and projects
    ("DOC-200", "ConfigError", "document is not a map", "A pipeline document and a project file are maps of keys."),
    (
        "DOC-201",
        "ConfigError",
        "unknown key",
        "A key stands where none of that name is known; the detail lists those that are.",
    ),
    ("DOC-202", "ConfigError", "missing key", "Something that must be stated is not there."),
    ("DOC-203", "ConfigError", "wrong value", "A value is not of the kind that its field takes."),
    (
        "DOC-204",
        "ConfigError",
        "not a name",
        "Names of projects, environments, pipelines, nodes and connections are lower-case letters, digits and _, a letter first, at most 63.",
    ),
    (
        "DOC-205",
        "ConfigError",
        "name stands twice",
        "Names are unique over sources, transforms and sinks, so that each names one node.",
    ),
    ("DOC-206", "ConfigError", "unknown type", "There is no source or no sink of that type."),
    ("DOC-207", "ConfigError", "mode not known to the sink", "The sink cannot write in that mode."),
    ("DOC-208", "ConfigError", "unknown connection", "The project file has no connection of that name."),
    ("DOC-209", "ConfigError", "connection of another type", "The connection's type is not the type of what uses it."),
    (
        "DOC-210",
        "ConfigError",
        "transform neither one nor the other",
        "A transform is `from` with `steps`, or one `sql` SELECT; it has both, or none.",
    ),
    (
        "DOC-211",
        "ConfigError",
        "not a step",
        "A step is a map with one key, its name; name and description may stand beside.",
    ),
    ("DOC-212", "ConfigError", "unknown step", "There is no step of that name."),
    (
        "DOC-213",
        "ConfigError",
        "secret not allowed here",
        "Secrets stand in fields that are declared secret, in URLs, headers and queries, and nowhere else.",
    ),
    (
        "DOC-214",
        "ConfigError",
        "optional dependencies missing",
        "The connector needs libraries that are not installed; the hint names the command that installs them.",
    ),
    ("DOC-220", "ConfigError", "not a schema", "A schema is {columns: {name: type}} or {file: path}."),
    (
        "DOC-221",
        "ConfigError",
        "schema file not usable",
        "The file is no Avro schema or JSON Schema of one row, or says what there is no type for.",
    ),
    ("DOC-230", "ConfigError", "not a path", "The text is empty, too long, a URL, or holds a NUL."),
    ("DOC-231", "ConfigError", "path goes up", 'A path has a part "..".'),
    (
        "DOC-232",
        "ConfigError",
        "path outside the project",
        "An absolute path is allowed beneath the root of a `files` connection, or with --allow-path.",
    ),
    ("DOC-233", "ConfigError", "path leaves through a link", "A symbolic link on the path leads out of its root."),
    (
        "DOC-234",
        "ConfigError",
        "named file cannot be read",
        "A file that the document names is not there, not readable, or larger than 1 MiB.",
    ),
    (
        "DOC-235",
        "ConfigError",
        "root is not absolute",
        "The root of a `files` connection is an absolute path without .. in it.",
    ),
    ("DOC-240", "ConfigError", "unknown environment", "The project file has no environment of that name."),
    (
        "DOC-242",
        "ConfigError",
        "project file of another name",
        "The project file is called penstock.yml, whatever it holds.",
    ),
    # -- NET: outgoing requests
    (
        "NET-100",
        "ConfigError",
        "not a usable URL",
        "The URL has no host, a port out of range, white space, a control character, a backslash or a user name in it, or is longer than 16 KiB.",
    ),
    (
        "NET-101",
        "ConfigError",
        "scheme not allowed",
        "Outgoing requests use http and https, and never go from https to http.",
    ),
    (
        "NET-102",
        "ConfigError",
        "not a usable host name",
        "The host is neither a name of the DNS nor an address in its usual form: octal, decimal or hexadecimal addresses and zone ids are refused.",
    ),
    (
        "NET-103",
        "ConfigError",
        "address refused",
        "The host is, or resolves to, an address that is not public. Name the host or the network in the connection's allow_private where that is meant.",
    ),
    ("NET-104", "ConfigError", "host not found", "The DNS knows no such host."),
    (
        "NET-105",
        "TransientError",
        "host could not be looked up",
        "The name server did not answer in time, or could not answer now.",
    ),
    (
        "NET-106",
        "ConfigError",
        "not a usable header",
        "A header's name or value holds a character that no header may hold, or the name is one that Penstock sets itself.",
    ),
    (
        "NET-107",
        "ConfigError",
        "too many redirects",
        "The server sent the request on more often than the connection's max_redirects allows, or in a circle.",
    ),
    (
        "NET-108",
        "ConfigError",
        "redirect refused",
        "The server sent the request on in a way that would lose its body or method, hand data to another host, or leave https; or it named no place to go.",
    ),
    ("NET-110", "TransientError", "could not connect", "No connection to the server came about."),
    (
        "NET-111",
        "TransientError",
        "timed out",
        "Connecting, waiting for data or the whole request took longer than the connection's timeouts allow.",
    ),
    (
        "NET-112",
        "TransientError",
        "connection broke",
        "The server ended the connection early or answered something that is not HTTP, or its compressed answer was damaged.",
    ),
    (
        "NET-113",
        "ConfigError",
        "certificate not trusted",
        "The server's certificate is not valid for the host, or no trusted authority signed it. An authority of your own is named in tls.ca_file.",
    ),
    ("NET-114", "TransientError", "TLS failed", "No encrypted connection could be agreed upon with the server."),
    (
        "NET-115",
        "ConfigError",
        "answer too large",
        "The answer, decompressed, is larger than the connection's max_response_bytes, or its headers are larger than 64 KiB.",
    ),
    (
        "NET-116",
        "ConfigError",
        "encoding not supported",
        "The server compressed the answer in a way that was not offered to it.",
    ),
    (
        "NET-117",
        "ConfigError",
        "TLS files not usable",
        "tls.ca_file, cert_file or key_file cannot be read, do not fit together, or the key's password is wrong.",
    ),
    (
        "NET-120",
        "TransientError",
        "server cannot answer now",
        "The server answered with 408, 425, 429 or 5xx, and went on doing so until the retries were used up.",
    ),
    (
        "NET-121",
        "ConfigError",
        "access refused",
        "The server answered 401, 403 or 407: credentials are missing, wrong, or lack a right.",
    ),
    ("NET-122", "ConfigError", "not found", "The server answered 404 or 410: the address names nothing there."),
    ("NET-123", "ConfigError", "request refused", "The server answered with another 4xx: the request itself is wrong."),
    (
        "NET-124",
        "FatalError",
        "outcome unknown",
        "A request that changes data broke off after it may have arrived. It is not repeated, since it carries no Idempotency-Key: look at the target before going on.",
    ),
    (
        "NET-125",
        "ConfigError",
        "unexpected answer",
        "The server answered with a status that is neither success nor an error.",
    ),
    (
        "NET-130",
        "ConfigError",
        "no access token",
        "The token URL refused the client credentials, or answered without an access token.",
    ),
    (
        "NET-140",
        "TransientError",
        "request cancelled",
        "The request was ended from our side, by an interrupt or since the work around it failed.",
    ),
    (
        "NET-141",
        "ConfigError",
        "HTTP library missing",
        "Requests need the optional dependencies: pip install 'penstock[rest]'.",
    ),
    # -- SNK: writing, every sink
    (
        "SNK-110",
        "ConfigError",
        "column cannot be held",
        "The sink's system has no place for a column of this type or name.",
    ),
    (
        "SNK-111",
        "ConfigError",
        "columns differ from the target's",
        "The rows have a column or a type that the target has not, and on_schema_change does not allow to change it.",
    ),
    (
        "SNK-112",
        "ConfigError",
        "key column missing",
        "A column named in keys, order_by or partition_by is not among the rows' columns.",
    ),
    (
        "SNK-113",
        "ConfigError",
        "names collide",
        "Two columns have names that differ only in case, which the target takes for one.",
    ),
    (
        "SNK-114",
        "DataError",
        "empty input would overwrite",
        "The input has no rows and the mode is overwrite. State allow_empty: true where that is meant.",
    ),
    (
        "SNK-120",
        "FatalError",
        "epoch does not follow the marker",
        "The sink's marker is neither at this epoch nor the one before it, or a newer runner took over; nothing was written.",
    ),
    # -- SNK-130..169: files, written
    (
        "SNK-131",
        "FatalError",
        "record of committed files damaged",
        "A manifest or a snapshot in the folder _penstock is cut, altered or of another version. Restore the folder from a backup, or write to a new one.",
    ),
    (
        "SNK-132",
        "ConfigError",
        "path cannot be written",
        "The path may not be written, is a folder where a file is meant or the other way round, or is too long.",
    ),
    (
        "SNK-133",
        "FatalError",
        "no room on the disk",
        "The disk or the quota is full; what was committed stays, the epoch is done again once there is room.",
    ),
    ("SNK-134", "TransientError", "writing failed", "The file system answered with an error that may pass."),
    (
        "SNK-135",
        "ConfigError",
        "files of others in the folder",
        "An overwrite replaces what Penstock wrote; the folder holds files of the same kind that it did not write. Move them, or write to another folder.",
    ),
    (
        "SNK-136",
        "ConfigError",
        "layout is another",
        "The folder holds files of another format, or partitioned by other columns; write to another folder.",
    ),
    (
        "SNK-137",
        "ConfigError",
        "no column left",
        "partition_by names every column, so that the files would have none.",
    ),
    (
        "SNK-138",
        "ConfigError",
        "order of columns differs",
        "Files without a header tell columns apart by their place only; select the columns in the order of the files.",
    ),
    # -- DOC-400..419: types, columns, schemas
    ("DOC-400", "ConfigError", "not a type", "The text is not a type as a document writes it; the caret shows where."),
    ("DOC-401", "ConfigError", "unknown type name", "No type has that name; the hint names the one that is meant."),
    (
        "DOC-402",
        "ConfigError",
        "wrong type parameters",
        "A type has parameters that it does not take, lacks some, or they are out of range.",
    ),
    (
        "DOC-403",
        "ConfigError",
        "type too deep or too long",
        "A type nests deeper than 32 levels, or its text is longer than 1 MiB.",
    ),
    (
        "DOC-404",
        "ConfigError",
        "impossible name",
        "A column or a struct's field is named by nothing, twice, with a NUL character or with broken Unicode.",
    ),
    ("DOC-405", "ConfigError", "misplaced ?", "The mark for nullable stands where null can never stand, or twice."),
    (
        "DOC-406",
        "ConfigError",
        "Arrow type without a counterpart",
        "Data arrives with an Arrow type that no logical type holds; cast it where it comes from.",
    ),
    (
        "DOC-407",
        "ConfigError",
        "engine type without a counterpart",
        "An expression has a type of the engine that no logical type holds, such as a union; cast it.",
    ),
    (
        "DOC-408",
        "ConfigError",
        "names differ in case only",
        "Two fields of a struct have names that the engine takes for one; rename one of them.",
    ),
    ("DOC-410", "ConfigError", "repeated column", "A schema would have two columns of one name."),
    ("DOC-411", "ConfigError", "no such column", "A column is asked for that the schema does not have."),
    ("DOC-412", "ConfigError", "not a schema", "JSON that should hold a schema has another shape."),
    (
        "DOC-413",
        "DataError",
        "value does not fit its type",
        "A value of a column cannot be taken over exactly, such as a timestamp with digits below a microsecond.",
    ),
    (
        "DOC-414",
        "DataError",
        "null where none may be",
        "A column, or a place inside its values, holds null and may not.",
    ),
    # -- SRC: reading, every source
    (
        "SRC-110",
        "DataError",
        "range cannot be read as planned",
        "What the range was planned over has changed or is gone, so that reading it would give other rows.",
    ),
    # -- SRC-170..189: tables of file sinks, SQLite, read
    (
        "SRC-170",
        "ConfigError",
        "nothing committed yet",
        "The sink that a transform reads has committed nothing, so that its table has no columns.",
    ),
    (
        "SRC-171",
        "ConfigError",
        "position of another version",
        "The position was written by another version of the table's reader.",
    ),
    (
        "SRC-172",
        "ConfigError",
        "column cannot be read back exactly",
        "The files hold the column exactly, and the engine's reader would change its values; write Parquet where rows are read again.",
    ),
    (
        "SRC-112",
        "ConfigError",
        "names collide",
        "Two columns of the source have names that differ only in case, which the engine takes for one.",
    ),
    # -- SRC-200..229: PostgreSQL, read
    (
        "SRC-200",
        "ConfigError",
        "PostgreSQL library missing",
        "PostgreSQL needs the optional dependencies: pip install 'penstock[postgres]'.",
    ),
    (
        "SRC-201",
        "TransientError",
        "server cannot be reached",
        "The PostgreSQL server did not answer, went down, or the connection was lost while reading.",
    ),
    (
        "SRC-202",
        "ConfigError",
        "login refused",
        "The PostgreSQL server refuses the login: check database, user, password and sslmode of the connection.",
    ),
    (
        "SRC-203",
        "ConfigError",
        "no such table",
        "There is no table or view of that name, or the text is no table's name; names are taken as they are written.",
    ),
    (
        "SRC-204",
        "ConfigError",
        "statement refused",
        "The PostgreSQL server refuses a statement: a name that is not there, a missing right, something it cannot do.",
    ),
    (
        "SRC-205",
        "TransientError",
        "server is busy",
        "The PostgreSQL server gave up for now: a lock, a deadlock, a timeout, too many connections, no memory or disk.",
    ),
    (
        "SRC-206",
        "DataError",
        "value refused",
        "The PostgreSQL server refuses a value, such as a failed conversion in a query or view.",
    ),
    (
        "SRC-207",
        "FatalError",
        "server is damaged",
        "The PostgreSQL server reports an internal failure or damaged data; look into its log before trying again.",
    ),
    (
        "SRC-208",
        "ConfigError",
        "pattern matches no table",
        "A pattern in `tables:` matches no table on the server.",
    ),
    (
        "SRC-209",
        "ConfigError",
        "column cannot split the read",
        "The column in `split_by` is not there, or its type has no ranges.",
    ),
    (
        "SRC-210",
        "ConfigError",
        "position not understood",
        "A recorded position has another form than this version writes; the range cannot be read again.",
    ),
    # -- SNK-200..229: PostgreSQL, written
    (
        "SNK-200",
        "ConfigError",
        "PostgreSQL library missing",
        "PostgreSQL needs the optional dependencies: pip install 'penstock[postgres]'.",
    ),
    (
        "SNK-201",
        "TransientError",
        "server cannot be reached",
        "The PostgreSQL server did not answer, went down, or the connection was lost while writing.",
    ),
    (
        "SNK-202",
        "ConfigError",
        "login refused",
        "The PostgreSQL server refuses the login: check database, user, password and sslmode of the connection.",
    ),
    (
        "SNK-203",
        "ConfigError",
        "target is no table",
        "The name is no table's name, or names a view or foreign table, which Penstock does not write.",
    ),
    (
        "SNK-204",
        "ConfigError",
        "statement refused",
        "The PostgreSQL server refuses a statement: a name that is not there, a missing right, something it cannot do.",
    ),
    (
        "SNK-205",
        "TransientError",
        "server is busy",
        "The PostgreSQL server gave up for now: a lock, a deadlock, a timeout, too many connections, no memory or disk.",
    ),
    (
        "SNK-206",
        "DataError",
        "value refused",
        "The PostgreSQL server refuses a value: a constraint of the table, a range, or a text that its type does not take.",
    ),
    (
        "SNK-207",
        "FatalError",
        "server is damaged",
        "The PostgreSQL server reports an internal failure or damaged data; look into its log before trying again.",
    ),
    (
        "SNK-208",
        "TransientError",
        "outcome of a commit unclear",
        "The connection was lost while PostgreSQL committed; the marker in the database tells whether it did.",
    ),
    (
        "SNK-209",
        "DataError",
        "value cannot be stored",
        "PostgreSQL has no place for a value: a NUL character in text, or a date or time outside its range.",
    ),
    (
        "SNK-210",
        "DataError",
        "key is null",
        "A key column of a merge holds null, or a key occurs twice in one epoch; the rows were not written.",
    ),
    (
        "SNK-211",
        "DataError",
        "key is not unique in the target",
        "The target holds several rows of one key, so that a merge has no one row to change.",
    ),
    (
        "SNK-212",
        "TransientError",
        "staged rows are gone",
        "The staging table lost rows before the commit, as unlogged tables do when the server crashes; the epoch is written again.",
    ),
    (
        "SNK-213",
        "DataError",
        "table did not take every row",
        "A trigger or rule of the target dropped rows, so that the receipt would not add up; nothing was committed.",
    ),
    (
        "SNK-214",
        "ConfigError",
        "target needs a column",
        "The target has a column that may not be null and has no default, and the rows do not bring it.",
    ),
    # -- SRC-250..269: Delta Lake tables, read
    (
        "SRC-250",
        "ConfigError",
        "no Delta table there",
        "The folder is not there or holds no Delta log; check the path.",
    ),
    (
        "SRC-251",
        "ConfigError",
        "Delta log cannot be read",
        "The table's log is damaged, or may not be read; the detail says what the reader found.",
    ),
    (
        "SRC-252",
        "ConfigError",
        "no such version",
        "The table never had that version, did not exist at that time, or its log entries have been cleaned up.",
    ),
    (
        "SRC-253",
        "ConfigError",
        "Delta feature not supported",
        "The table uses a type or a reader feature of Delta that cannot be read here.",
    ),
    (
        "SRC-254",
        "DataError",
        "file outside the table",
        "The table's log, or a link in its folder, names a file outside the folder; such a file is never read.",
    ),
    (
        "SRC-255",
        "ConfigError",
        "position not understood",
        "A recorded position has another form than this version writes; the range cannot be read again.",
    ),
    (
        "SRC-256",
        "ConfigError",
        "Delta library missing",
        "Delta tables need the optional dependencies: pip install 'penstock[delta]'.",
    ),
    # -- SNK-250..269: Delta Lake tables, written
    (
        "SNK-250",
        "ConfigError",
        "table cannot be written",
        "The table uses a feature of Delta (constraints, generated columns, change data feed, append-only ...) that this way of writing would break.",
    ),
    (
        "SNK-251",
        "ConfigError",
        "partitions differ",
        "The sink's partition_by is not how the table is partitioned, or the mode needs a partitioned table.",
    ),
    (
        "SNK-252",
        "DataError",
        "value cannot name a partition",
        "A partition column holds a text that Delta would read back as null: the empty one.",
    ),
    (
        "SNK-253",
        "DataError",
        "null in a column that is never null",
        "The table declares a column as never null and the rows have a null there.",
    ),
    (
        "SNK-254",
        "DataError",
        "keys of a merge not unique",
        "The rows of one merge hold a key twice, or a null in a key column; nothing was written.",
    ),
    (
        "SNK-255",
        "TransientError",
        "commits of others in the way",
        "Other writers committed to the table each time this one tried; nothing was written.",
    ),
    (
        "SNK-256",
        "TransientError",
        "commit failed",
        "The commit did not happen, for the reason in the detail; the table is as it was.",
    ),
    (
        "SNK-257",
        "TransientError",
        "file system refuses",
        "The file system did not take a file: no space, no right, or an I/O error; nothing was committed.",
    ),
    (
        "SNK-258",
        "FatalError",
        "staged files are gone",
        "What a writer staged is not there any more: another run of the pipeline cleaned up. Nothing was committed; run again.",
    ),
    (
        "SNK-259",
        "FatalError",
        "receipt is gone",
        "The epoch is committed, but the log entry that tells what it did has been cleaned up.",
    ),
    # -- CMP-280..319: joins, aggregates, windows, pivots, unions
    (
        "CMP-280",
        "ConfigError",
        "values that cannot be compared",
        "A join compares columns of different kinds, such as a number with a text; cast one of them in a step before.",
    ),
    (
        "CMP-281",
        "ConfigError",
        "unknown side of a join",
        "An expression of a join qualifies a column by a name that is neither `this` nor the join's alias.",
    ),
    (
        "CMP-282",
        "ConfigError",
        "not an as-of condition",
        "An as-of join compares by one inequality and any number of equalities, each between a value of `this` and one of the other side.",
    ),
    (
        "CMP-283",
        "ConfigError",
        "parameters that do not fit the join",
        "The kind of join needs `on`, or takes no `on` or no `add`, or `on` compares nothing.",
    ),
    (
        "CMP-284",
        "ConfigError",
        "alias is taken",
        "The other side of a join is called `this`, which stands for the rows that come in; give it another name with `as`.",
    ),
    (
        "CMP-285",
        "ConfigError",
        "joined column collides",
        "A column that a join adds has the name of one that is there; names are never changed in silence, so give it one: `add: {new: old}`.",
    ),
    (
        "CMP-286",
        "ConfigError",
        "result left to chance",
        "An aggregate depends on the order in which rows happen to come; give it an order, or take another one.",
    ),
    (
        "CMP-287",
        "ConfigError",
        "column outside the aggregates",
        "A measure names a column that is neither aggregated nor grouped by, so that a group has many values of it.",
    ),
    ("CMP-288", "ConfigError", "nothing to aggregate", "An aggregate has neither `by` nor `measures`."),
    (
        "CMP-289",
        "ConfigError",
        "order missing",
        "A window function, a frame or `keep: last` depends on the order of rows, and there is no `order_by`.",
    ),
    (
        "CMP-290",
        "ConfigError",
        "values of a pivot are not known",
        "A pivot without `values` has the columns that its data say, and they cannot be read here: declare the values.",
    ),
    (
        "CMP-291",
        "ConfigError",
        "frame not understood",
        "A frame is `6 rows preceding`, `7 days preceding`, or SQL's own `rows between ... and ...`.",
    ),
    (
        "CMP-292",
        "ConfigError",
        "frame does not fit the order",
        "A frame measures a distance along its one order key, which must be a date or timestamp for a duration and a number for a number.",
    ),
    (
        "CMP-293",
        "ConfigError",
        "no window function",
        "A column of the step `window` looks at no other row; the step `derive` computes such columns.",
    ),
    (
        "CMP-294",
        "ConfigError",
        "value cannot make a column",
        "A value of a pivot is empty, is not of the column's type, or there is none at all.",
    ),
    ("CMP-295", "ConfigError", "measure aggregates nothing", "A measure of a pivot holds no aggregate such as sum."),
    (
        "CMP-296",
        "ConfigError",
        "too many columns",
        "The column of a pivot has more than 1,000 values; declare those that are wanted.",
    ),
    (
        "CMP-297",
        "ConfigError",
        "columns of different kinds",
        "Columns that are to become one have no type that holds the values of all; cast them to one type before.",
    ),
    (
        "CMP-298",
        "ConfigError",
        "nothing to unite",
        "The step `union` stands first in a transform whose `from` is a list.",
    ),
    (
        "CMP-299",
        "ConfigError",
        "different numbers of columns",
        "A union by position needs the same number of columns from each node.",
    ),
    (
        "CMP-300",
        "ConfigError",
        "columns cannot be united",
        "Columns that meet in a union are of different kinds, such as a number and a text; cast one of them before.",
    ),
    # -- INT: our own bugs
    ("INT-900", "InternalError", "invariant broken", "Penstock found itself in a state that its own rules exclude."),
)

CATALOGUE: dict[str, ErrorCode] = {row[0]: ErrorCode(*row) for row in _ROWS}


def class_of(code: str) -> ErrorClass:
    """The recovery class of a code; an unknown code is our own bug and says so."""
    known = CATALOGUE.get(code)
    return known.error_class if known else "InternalError"
