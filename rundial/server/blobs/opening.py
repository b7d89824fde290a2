"""From `--blobs` to the parts that keep artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rundial.clock import Clock
from rundial.errors import ConfigError
from rundial.server.blobs.local import LocalStore
from rundial.server.blobs.store import BlobStore
from rundial.server.blobs.tokens import open_signer
from rundial.server.settling import PATIENCE_S, Settling
from rundial.server.sweeping import EVERY_S, Sweeper

URL_LIFE_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class BlobOptions:
    """How artifacts are kept.

    Attributes:
        url: `s3://bucket/prefix`; None is the data directory.
        url_life_s: How long signed URLs work, seconds.
        sweep_every_s: Seconds between two sweeps.
        patience_s: How long one finalize waits for the judging, seconds.
    """

    url: str | None = None
    url_life_s: int = URL_LIFE_S
    sweep_every_s: float = EVERY_S
    patience_s: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What keeps artifacts in a running server."""

    blobs: BlobStore
    settling: Settling
    sweeper: Sweeper
    url_life_s: int


def open_artifacts(data_dir: Path, clock: Clock, options: BlobOptions) -> Artifacts:
    """Open the place of the bytes.

    Raises:
        ConfigError: It is no such place, or cannot be used.
    """
    blobs = _open(data_dir, clock, options)
    settling = Settling(blobs, clock, patience_s=options.patience_s)
    return Artifacts(
        blobs, settling, Sweeper(settling, clock, every_s=options.sweep_every_s), options.url_life_s
    )


def _open(data_dir: Path, clock: Clock, options: BlobOptions) -> BlobStore:
    if options.url is None:
        return LocalStore(data_dir, open_signer(data_dir), clock)
    if not options.url.startswith("s3://"):
        raise ConfigError(f"--blobs {options.url!r} is no address of ours; use s3://bucket/prefix")
    from rundial.server.blobs.s3 import open_s3

    return open_s3(options.url)
