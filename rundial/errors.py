"""Every error that Rundial raises, in one tree.

    RundialError
    ├── ConfigError (ValueError)      a setting or argument is wrong; raised before anything starts
    ├── RunFinishedError              logging after finish, in strict mode only
    ├── RecordDroppedError            a record was dropped, in strict mode only
    ├── SpoolError
    │   ├── SpoolFullError            the spool's bound leaves no room for a frame
    │   ├── SpoolLockedError          a live process owns the directory
    │   └── SegmentCorruptError       a segment's header cannot be read
    ├── ExportError                   raised by `rundial sync` and drain(); never by log()
    ├── ArtifactError                 an artifact could not be downloaded
    │   └── DigestMismatchError       its bytes are not what they should be
    ├── RundialRequestError (RuntimeError)   a control or query call failed
    └── UnsupportedError (NotImplementedError, AttributeError)   another tracker's name without a counterpart

Facts are attributes and the message is made from them, so every error pickles: training
workers are processes, and their errors travel.
"""

from __future__ import annotations


class RundialError(Exception):
    """Base of everything that Rundial raises on purpose."""


class ConfigError(RundialError, ValueError):
    """A setting or an argument is wrong; nothing was started."""


class RunFinishedError(RundialError):
    """Something was logged after finish(); raised in strict mode only."""


class RecordDroppedError(RundialError):
    """A record was dropped; raised in strict mode only.

    Attributes:
        reason: One of the ledger's reasons for loss.
        detail: What was dropped and why, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"dropped ({self.reason}): {self.detail}"


class SpoolError(RundialError):
    """Something is wrong with a spool directory."""


class SpoolFullError(SpoolError):
    """The spool's bound leaves no room for a frame.

    Attributes:
        path: The spool directory.
        limit_bytes: The bound that was reached.
        needed_bytes: What the frame would have taken.
    """

    def __init__(self, path: str, limit_bytes: int, needed_bytes: int) -> None:
        super().__init__(path, limit_bytes, needed_bytes)
        self.path = path
        self.limit_bytes = limit_bytes
        self.needed_bytes = needed_bytes

    def __str__(self) -> str:
        return (
            f"spool at {self.path} has no room for a frame of {self.needed_bytes:,} bytes within its limit "
            f"of {self.limit_bytes:,} bytes; free space or raise RUNDIAL_SPOOL_MAX_BYTES"
        )


class SpoolLockedError(SpoolError):
    """A live process owns the spool directory.

    Attributes:
        path: The spool directory.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"spool at {self.path} belongs to a live process; nothing was changed"


class SegmentCorruptError(SpoolError):
    """A segment's header cannot be read.

    Attributes:
        path: The segment file.
        why: What was wrong with it.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"segment {self.path} cannot be read ({self.why}); it was left as it is"


class ExportError(RundialError):
    """Spooled records could not be delivered; they stay in the spool."""


class ArtifactError(RundialError):
    """An artifact could not be downloaded, or a file of it not be written."""


class DigestMismatchError(ArtifactError):
    """The bytes that came are not those that were recorded; they were not written.

    Attributes:
        path: The file in the artifact.
        expected: The sha256 that was recorded.
        found: That of what came.
    """

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(path, expected, found)
        self.path = path
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return (
            f"{self.path!r} has the sha256 {self.found[:16]}… where {self.expected[:16]}… was recorded; "
            "it was not written. Try again, or ask whoever runs the server"
        )


class RundialRequestError(RundialError, RuntimeError):
    """A control or query call failed.

    Attributes:
        message: What happened, in one line, with advice.
        status_code: HTTP status, None when no answer came.
        error_code: The server's code, such as `NOT_FOUND`; None when it sent none.
        error_message: The server's own words.
        error_hint: What the server advises.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
        error_hint: str | None = None,
    ) -> None:
        super().__init__(message, status_code, error_code, error_message, error_hint)
        self.message = message
        self.status_code = status_code
        self.error_code = error_code
        self.error_message = error_message
        self.error_hint = error_hint

    def __str__(self) -> str:
        return self.message


class UnsupportedError(RundialError, NotImplementedError, AttributeError):
    """Another tracker has this name, and Rundial has nothing for it.

    An AttributeError as well, so that `hasattr` answers False and programs that ask first go on without.

    Attributes:
        missing: The name, as a program writes it.
        page: The page that lists what there is.
    """

    def __init__(self, missing: str, page: str) -> None:
        super().__init__(missing, page)
        self.missing = missing
        self.page = page

    def __str__(self) -> str:
        return f"{self.missing} is not supported; {self.page} lists what is, and what to use instead"
