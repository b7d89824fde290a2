"""Host names and keys, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.server import keys
from rundial.server.keys import ADMIN, PROJECT_READ, Principal, StoredKey
from rundial.server.security import host_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8787", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8787", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("", ""),
        ("evil.example:127.0.0.1", "evil.example"),
        ("localhost.", "localhost."),
    ],
)
def test_host_name_is_what_stands_before_the_port(host: str, name: str) -> None:
    """A port, whatever it is, never makes a name pass or fail."""
    assert host_name(host) == name


@given(st.text(max_size=60))
def test_host_name_of_anything_is_a_name(host: str) -> None:
    """A header that someone made up is compared like any other."""
    assert isinstance(host_name(host), str)


def test_a_key_reads_back_as_its_id_and_secret() -> None:
    """A secret may hold any URL-safe character, our own separator included."""
    for _ in range(50):
        key_id, secret = keys.generate()

        assert keys.parse(keys.render(key_id, secret) + "\n") == (key_id, secret)
    assert keys.parse("rdk_abc_x_y-_z") == ("abc", "x_y-_z")


@pytest.mark.parametrize(
    "text", ["", "rdk", "rdk_", "rdk_a", "rdk_a_", "rdk__a", "xyz_a_b", "Bearer rdk_a_b"]
)
def test_what_is_no_key_reads_as_none(text: str) -> None:
    """Anything else in the header is refused like a wrong key."""
    assert keys.parse(text) is None


def test_a_stored_key_opens_with_its_secret_alone_and_only_while_it_lives() -> None:
    """The hash is no way in, and neither is a secret whose time is over."""
    principal = Principal("id", "x", frozenset({PROJECT_READ}), 1)
    stored = StoredKey(principal, keys.digest("open sesame"), expires_unix_ns=100)

    assert stored.opens_with("open sesame", 99)
    assert not stored.opens_with("open sesame", 100)
    assert not stored.opens_with(keys.digest("open sesame"), 0)
    assert not StoredKey(principal, keys.digest("secret"), revoked_unix_ns=1).opens_with("secret", 0)
    assert "sesame" not in repr(stored)


def test_admin_holds_every_scope_and_only_an_unbound_one_owns() -> None:
    """A workspace's admin may do everything there and make no other workspace."""
    owner = Principal("id", "x", frozenset({ADMIN}), 1)
    bound = Principal("id", "x", frozenset({ADMIN}), 1, reach=frozenset({1}))

    assert all(each.may(scope) for each in (owner, bound) for scope in keys.SCOPES)
    assert (owner.is_owner, bound.is_owner) == (True, False)
    assert not Principal("id", "x", frozenset(), 1).may(PROJECT_READ)
