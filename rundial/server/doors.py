"""How a server is reached: which names it answers to, with which certificate, how often by whom.

What is not given here is closed: no name but loopback's and the bound one, no proxy that is believed.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rundial.errors import ConfigError

REQUESTS_PER_MINUTE: Final = 60_000


@dataclass(frozen=True, slots=True)
class Doors:
    """The settings of a server's outer side.

    Attributes:
        allowed_hosts: Host names that clients may use beside the loopback ones and the bound one.
        certificate: PEM file with the server's certificate chain; None speaks plain HTTP.
        private_key: PEM file with its key; None looks for it in the certificate's file.
        trusted_proxies: Addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        requests_per_minute: What one key or session may send in the long run; 0 sets no bound.
        grpc_port: Port for OTLP/gRPC on the same address; 0 takes a free one, None has none.
    """

    allowed_hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    requests_per_minute: int = REQUESTS_PER_MINUTE
    grpc_port: int | None = None

    @property
    def scheme(self) -> str:
        """`https` with a certificate, `http` without."""
        return "http" if self.certificate is None else "https"

    def tls(self) -> ssl.SSLContext | None:
        """Read certificate and key; None when there are none.

        Raises:
            ConfigError: A file is missing, is no PEM, wants a passphrase, or the two do not belong together.
        """
        if self.certificate is None:
            if self.private_key is not None:
                raise ConfigError("--ssl-keyfile needs --ssl-certfile: there is a key and no certificate")
            return None
        # The library's own choice of versions (TLS 1.2 and later) and ciphers.
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.private_key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise ConfigError(
                f"the certificate {self.certificate} with the key {self.private_key or self.certificate} "
                f"cannot be used: {reason}. Give PEM files that belong together, the key without a passphrase"
            ) from error
        return context


def _no_passphrase() -> str:
    # A server that asks at its start hangs wherever nobody watches it.
    raise ValueError("the key wants a passphrase")
