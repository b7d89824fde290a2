"""The `rundial` logger, for parts that a run needs at its start and that mostly have nothing to say.

`logging` is imported when there is: a script that does not use it pays 4 of the 20 ms that `init` may
take for it.
"""

from __future__ import annotations

NAME = "rundial"


class Logger:
    """Stands in for `logging.getLogger("rundial")`; any thread."""

    def warning(self, message: str, *values: object, exc_info: BaseException | None = None) -> None:
        """Log a warning, as the caller's."""
        import logging

        logging.getLogger(NAME).warning(message, *values, exc_info=exc_info, stacklevel=2)

    def debug(self, message: str, *values: object, exc_info: BaseException | None = None) -> None:
        """Log for who debugs us, as the caller's."""
        import logging

        logging.getLogger(NAME).debug(message, *values, exc_info=exc_info, stacklevel=2)


logger = Logger()
