"""URLs as they are used and as they may be shown: a URL can hold a password.

Pure, but for `proxy_for`, which reads the environment. Any thread.
"""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def split_userinfo(url: str) -> tuple[str, str | None]:
    """Take the user information out of a URL.

    Returns:
        The URL without it, and what it says as an `authorization` value; None when it had none.

    Raises:
        ValueError: This is no URL.
    """
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    basic = "Basic " + b64encode(unquote(userinfo).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), basic


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: without user information, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unreadable address"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; loopback has none.

    Raises:
        ValueError: The URL is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https address")
    # The environment alone: the system's own settings cannot be read after a fork on macOS.
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined] # typeshed omits it
    if parts.hostname in _LOOPBACK or bypass(parts.hostname):
        return None
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
