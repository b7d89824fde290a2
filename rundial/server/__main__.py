"""`python -m rundial.server`: the server without the command line tool around it."""

from __future__ import annotations

import argparse

from rundial.errors import ConfigError
from rundial.server.serve import DEFAULT_HOST, DEFAULT_PORT, serve


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m rundial.server", description="Run a Rundial server.")
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--data", required=True, help="directory that everything is kept in")
    parser.add_argument("--allowed-host", action="append", default=[], help="further host name to answer to")
    chosen = parser.parse_args()
    try:
        serve(chosen.host, chosen.port, chosen.data, allowed_hosts=chosen.allowed_host)
    except ConfigError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
