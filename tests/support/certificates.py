"""Two self-signed certificates for 127.0.0.1, good for a hundred years, and their keys; for tests alone.

Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
-addext subjectAltName=IP:127.0.0.1`, so that no test needs a tool to make one.
"""

from __future__ import annotations

import ssl
from pathlib import Path

SERVER = """\
-----BEGIN CERTIFICATE-----
MIIBtDCCAVqgAwIBAgIUCiRIh7zoplliL7fhyHwoCTZpyBwwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTcnVuZGlhbCB0ZXN0IHNlcnZlcjAgFw0yNjExMjQxNTUwMDRa
GA8yMTI2MTAzMTE1NTAwNFowHjEcMBoGA1UEAwwTcnVuZGlhbCB0ZXN0IHNlcnZl
cjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKZ/JhFthwB7VPf9UuuLKKBFwkQL
kXtXNJ0Iw4zGAtzYq3U4C92obeDGqo44+SoUSck4917RxIuSJNXnz7AlF9CjdDBy
MB0GA1UdDgQWBBQd+JpG8O+6H7+S3wP7+3FiS7n1PzAfBgNVHSMEGDAWgBQd+JpG
8O+6H7+S3wP7+3FiS7n1PzAPBgNVHREECDAGhwR/AAABMA8GA1UdEwEB/wQFMAMB
Af8wDgYDVR0PAQH/BAQDAgKEMAoGCCqGSM49BAMCA0gAMEUCICp1I4v7Ds7M8WAl
DVCeDM3IpDQtxUP2c9cYKhO7lqTXAiEAxu0Dh6Pz3dXxoq2qsybLx1oCrc+yt11T
i7sAq6bdB5U=
-----END CERTIFICATE-----
"""
SERVER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNAkeuiUdaixv10Xu
j9CUQTX3qfp6h64J/V6+hJpeoA+hRANCAASmfyYRbYcAe1T3/VLriyigRcJEC5F7
VzSdCMOMxgLc2Kt1OAvdqG3gxqqOOPkqFEnJOPde0cSLkiTV58+wJRfQ
-----END PRIVATE KEY-----
"""
SERVER_KEY_LOCKED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhqkPHHVx9iwAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECPGWYf3b23Cw5j4WkA4ItoEgZDY
aPMqp+ROvgSyrgIb3YR/CjX8synNI9k/K0v+rWQ/82ctbUh4sGGtfc/sl1dy+1Xe
tuk9yC5tnr1Q6AUhBvJDdT3nbIY28NdygFdSuRhpN7UmEQAwnFPcoTk7MYOSAda+
xEUVov/7eq+obe9A1Busz1jGvS5IvRskFgxy0Ok/g77fvyY7OWYEiETWB8mYGAM=
-----END ENCRYPTED PRIVATE KEY-----
"""  # the same key, with the passphrase `x`
CLIENT = """\
-----BEGIN CERTIFICATE-----
MIIBtTCCAVqgAwIBAgIUOiqLnTCUCh4stpgxPs+G4HKVo4AwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTcnVuZGlhbCB0ZXN0IGNsaWVudDAgFw0yNjExMjQxNTUwMDRa
GA8yMTI2MTAzMTE1NTAwNFowHjEcMBoGA1UEAwwTcnVuZGlhbCB0ZXN0IGNsaWVu
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBvEV6A6G2iBZjTo2L2pqJiSVccA
HyMePRx0yLuyy4ppqYFthsALq49ZirO/EPXa1RQ0L9/U/UZr23AMoOd0QhGjdDBy
MB0GA1UdDgQWBBR/AzUDm/kmK6z7oivDApxGmlKASzAfBgNVHSMEGDAWgBR/AzUD
m/kmK6z7oivDApxGmlKASzAPBgNVHREECDAGhwR/AAABMA8GA1UdEwEB/wQFMAMB
Af8wDgYDVR0PAQH/BAQDAgKEMAoGCCqGSM49BAMCA0kAMEYCIQCXzrcNwxa0J2yx
uzvF5zui+UN3QdrMoV6srp+2h7115QIhAMuTEFDFkw9MnGgl3Q9O9x0FS7AwM5DA
WbW7eI+28Efr
-----END CERTIFICATE-----
"""
CLIENT_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggijR7FpXt/8Pw/D/
1zh7pz2KxlwEBSPB7G8/WeppojShRANCAAQbxFegOhtogWY06Ni9qaiYklXHAB8j
Hj0cdMi7ssuKaamBbYbAC6uPWYqzvxD12tUUNC/f1P1Ga9twDKDndEIR
-----END PRIVATE KEY-----
"""


def written(directory: Path) -> dict[str, str]:
    """Write all four into a directory; return their paths by name: `server`, `server_key`, and so on."""
    found = {}
    for name, pem in (
        ("server", SERVER),
        ("server_key", SERVER_KEY),
        ("client", CLIENT),
        ("client_key", CLIENT_KEY),
    ):
        path = directory / f"{name}.pem"
        path.write_text(pem)
        found[name] = str(path)
    return found


def server_context(paths: dict[str, str], *, asks_for_client: bool = False) -> ssl.SSLContext:
    """Return what a server shows, and whether it takes only clients that show theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["server"], paths["server_key"])
    if asks_for_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(paths["client"])
    return context
