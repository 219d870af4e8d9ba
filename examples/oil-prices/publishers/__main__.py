"""python -m publishers: writes the files of one edition, serves it until it is stopped, or both."""

import json
import signal
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from datetime import date
from pathlib import Path

from .edition import Edition
from .publications import Publications, publish, write_files
from .server import PublisherServer


def arguments(words: list[str]) -> Namespace:
    default = Edition()
    parser = ArgumentParser(prog="publishers", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="another seed invents another world (%(default)s)"
    )
    parser.add_argument(
        "--through", type=date.fromisoformat, default=default.through, help="last day published (%(default)s)"
    )
    parser.add_argument(
        "--revision", type=int, default=default.revision, help="ICE's revision files 1 to N (%(default)s)"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="write the files there")
    parser.add_argument("--no-serve", action="store_true", help="end after the files are written")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 picks a free one (%(default)s)")
    parser.add_argument("--port-file", type=Path, metavar="FILE", help="write the port there once the server answers")
    parser.add_argument("--api-key", action="append", default=[], metavar="KEY", help="a key that EIA's API accepts")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Prints one line of JSON: `url` and `port` (null with --no-serve), `rows` per publisher and in total, `broken`."""
    given = arguments(words)
    try:
        edition = Edition(given.seed, given.through, given.revision)
    except ValueError as wrong:
        sys.stderr.write(f"publishers: {wrong}\n")
        return 2
    publications = publish(edition)
    if given.data is not None:
        write_files(publications, given.data)
    if given.no_serve:
        announce(publications, None)
        return 0
    serve(publications, given)
    return 0


def serve(publications: Publications, given: Namespace) -> None:
    """Serves until SIGINT or SIGTERM; the port is told once connections are accepted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with PublisherServer(publications, keys=frozenset(given.api_key), port=given.port) as server:
        try:
            if given.port_file is not None:
                part = given.port_file.with_name(f".{given.port_file.name}.part")
                part.write_text(f"{server.server_port}\n")
                part.replace(given.port_file)
            announce(publications, server)
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


def announce(publications: Publications, server: PublisherServer | None) -> None:
    line = {
        "url": server.url if server else None,
        "port": server.server_port if server else None,
        "rows": {**asdict(publications.rows), "total": publications.rows.total},
        "broken": len(publications.broken),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
