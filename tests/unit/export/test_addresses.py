"""URLs as they are used and shown."""

from __future__ import annotations

import pytest

from rundial.export.addresses import proxy_for, shown_url, split_userinfo


def test_split_userinfo_makes_a_header_of_it() -> None:
    """A password in an endpoint still authenticates, and leaves the URL."""
    assert split_userinfo("https://me:p%40ss@host:4318/v1") == ("https://host:4318/v1", "Basic bWU6cEBzcw==")
    assert split_userinfo("https://host/v1") == ("https://host/v1", None)


def test_split_userinfo_keeps_all_but_the_user() -> None:
    """A proxy's or a server's address is used to its last character."""
    assert split_userinfo("http://a@b:c@host/p?q=1#f") == ("http://host/p?q=1#f", "Basic YUBiOmM=")
    assert split_userinfo("http://me@[::1]:1/p?q#f") == ("http://[::1]:1/p?q#f", "Basic bWU=")


def test_shown_url_holds_no_password_and_no_query() -> None:
    """Messages name the endpoint without what may be secret."""
    assert shown_url("https://me:pw@host:4318/v1/metrics?token=x#y") == "https://host:4318/v1/metrics"
    assert shown_url("http://[::1/x") == "an unreadable address"


def test_proxy_comes_from_the_environment_but_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's proxy is used, and a local server is reached directly."""
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")

    assert proxy_for("https://host/v1") == "http://proxy.example:3128"
    assert proxy_for("https://a.inside.example/v1") is None
    assert proxy_for("http://127.0.0.1:8787/v1") is None
    assert proxy_for("http://localhost:8787/v1") is None


def test_proxy_is_none_without_one_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is reached directly unless somebody asked for a detour."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    assert proxy_for("https://host/v1") is None
    monkeypatch.setenv("http_proxy", "socks5://one:1")
    assert (proxy_for("http://host/v1"), proxy_for("https://host/v1")) == ("socks5://one:1", None)
    monkeypatch.setenv("all_proxy", "two:2")
    assert (proxy_for("http://host/v1"), proxy_for("https://host/v1")) == ("socks5://one:1", "http://two:2")
    assert proxy_for("https://[::1]:4318/v1") is None


@pytest.mark.parametrize("url", ["", "host:4318", "ftp://host/", "http://", "http://[::1"])
def test_proxy_for_refuses_what_is_no_http_address(url: str) -> None:
    """A mistyped endpoint is a configuration error."""
    with pytest.raises(ValueError, match=r"."):
        proxy_for(url)
