"""Who asks: health, whoami, and the sessions of people who log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rundial.api.key import SESSION_COOKIE
from rundial.errors import RundialRequestError

if TYPE_CHECKING:
    from rundial.api.calls.shapes import Capabilities, Health, Login, Whoami
    from rundial.api.client import Client
    from rundial.api.exchange import Answer


def health(self: Client) -> Health:
    """Return `{"status", "serverId"}`; needs no key."""
    return cast("Health", self.caller.get("/health/ready", what="the health check", sends_key=False))


def get_cli_capabilities(self: Client) -> Capabilities:
    """Return what the server can do, `version` among it."""
    return cast("Capabilities", self.caller.get("/api/v1/cli/capabilities", what="reading the capabilities"))


def whoami(self: Client) -> Whoami:
    """Return who the key or the session belongs to.

    Raises:
        RundialRequestError: Also when the server says that they are not authenticated.
    """
    found = self.caller.get("/api/v1/auth/whoami", what="whoami")
    if found.get("authenticated") is False:
        raise RundialRequestError(
            f"{self.endpoint} does not know this API key; check RUNDIAL_API_KEY or the stored profile",
            401,
            "UNAUTHORIZED",
        )
    return cast("Whoami", found)


def login_credentials(self: Client, *, email: str, password: str, origin: str | None = None) -> Login:
    """Log in as a person; from then on requests without an API key carry the session.

    Args:
        email: The account.
        password: Sent once, kept nowhere.
        origin: The `Origin` that the server expects; None is the endpoint's own.

    Raises:
        RundialRequestError: The credentials are wrong, or the answer brings no session.
    """
    body = {"email": email, "password": password}
    found, answer = self.caller.sign(
        "/api/v1/auth/login/credentials", body, origin=origin, what="logging in", sends_key=False
    )
    token = _session_in(answer)
    if token is None:
        raise RundialRequestError(
            f"logging in: the answer of {self.endpoint} brings no session. Check that the endpoint is a "
            "Rundial server and not a proxy that keeps its cookies",
            answer.status,
        )
    self.set_session_token(token)
    return cast("Login", found)


def logout_session(self: Client, *, origin: str | None = None) -> bool:
    """End the session, on the server and here.

    Args:
        origin: The `Origin` that the server expects; None is the endpoint's own.

    Returns:
        True when the session is over, also when it was over already; False when there was none.

    Raises:
        RundialRequestError: The server could not be asked; the session stays.
    """
    if self.session_token is None:
        return False
    try:
        self.caller.sign("/api/v1/auth/logout", {}, origin=origin, what="logging out", sends_key=True)
    except RundialRequestError as error:
        if error.status_code not in (401, 403):
            raise
    self.set_session_token(None)
    return True


def _session_in(answer: Answer) -> str | None:
    from http.cookies import CookieError, SimpleCookie  # only who logs in needs it

    for text in answer.set_cookies:
        try:
            found = SimpleCookie(text).get(SESSION_COOKIE)
        except CookieError:
            continue
        if found is not None and found.value:
            return found.value
    return None
