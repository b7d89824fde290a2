"""`python -m rundial.server`: the server without the command line tool around it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rundial.errors import ConfigError
from rundial.server.doors import Doors
from rundial.server.serve import DEFAULT_HOST, DEFAULT_PORT, serve


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m rundial.server", description="Run a Rundial server.")
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--data", required=True, help="directory that everything is kept in")
    parser.add_argument("--allowed-host", action="append", default=[], help="further host name to answer to")
    parser.add_argument("--ssl-certfile", type=Path, help="PEM file with the certificate chain")
    parser.add_argument("--ssl-keyfile", type=Path, help="PEM file with its key")
    chosen = parser.parse_args()
    doors = Doors(tuple(chosen.allowed_host), chosen.ssl_certfile, chosen.ssl_keyfile)
    try:
        serve(chosen.host, chosen.port, chosen.data, doors=doors)
    except ConfigError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
