"""Signing in and out, and what becomes of keys."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.support.server import LocalServer
from tests.support.world import PASSWORD
from tests.web.browser import WORKSPACE, Looks, opened


def test_who_is_not_signed_in_comes_back_to_where_they_wanted_to_go(
    browser: Browser, site: LocalServer, looks: Looks
) -> None:
    """A link that a colleague sent survives signing in; the key is in no address and in no storage."""
    site.project_id()
    with opened(browser, site, looks) as tab:
        tab.goto(f"{WORKSPACE}/digits?sort=runName")
        tab.get_by_role("textbox", name="API key").fill(site.key)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url("**/digits?sort=runName")
        kept = tab.evaluate("JSON.stringify([document.cookie, localStorage, sessionStorage, location.href])")

        assert site.key not in kept
        (cookie,) = tab.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("rd_session", True, "Strict")
        assert cookie["value"] != site.key


def test_a_wrong_key_is_said_and_the_form_stays(browser: Browser, site: LocalServer, looks: Looks) -> None:
    """The reason stands beside the button, and another attempt is possible."""
    with opened(browser, site, looks) as tab:
        tab.goto("/sign-in")
        tab.get_by_role("textbox", name="API key").fill("rdk_000000000000_wrong")
        tab.get_by_role("button", name="Sign in").click()

        expect(tab.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
        expect(tab.get_by_role("button", name="Sign in")).to_be_enabled()


def test_a_person_signs_in_and_out(browser: Browser, site: LocalServer, looks: Looks) -> None:
    """E-mail and password begin a session; signing out ends it on the server too."""
    member = {"email": "ada@example.org", "role": "member", "password": PASSWORD, "name": "Ada"}
    assert site.post("/api/v1/workspaces/default-workspace/members", member).status == 200
    with opened(browser, site, looks) as tab:
        tab.goto("/sign-in")
        tab.get_by_role("tab", name="E-mail and password").click()
        tab.get_by_label("E-mail", exact=True).fill("ada@example.org")
        tab.get_by_label("Password", exact=True).fill(PASSWORD)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url(f"**{WORKSPACE}")
        (cookie,) = tab.context.cookies()
        tab.get_by_role("button", name="Account and appearance").click()
        tab.get_by_role("button", name="Sign out").click()
        tab.wait_for_url("**/sign-in*")

    headers = {"cookie": f"rd_session={cookie['value']}"}
    assert site.send("GET", "/api/v1/auth/whoami", headers=headers, key="").status == 401


def test_a_session_that_ends_meanwhile_leads_to_signing_in(page: Page) -> None:
    """Whoever is signed out elsewhere is asked to sign in, and goes on where they were."""
    page.goto(WORKSPACE)
    expect(page.get_by_role("heading", name="No run has come yet")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{WORKSPACE}/somewhere")

    page.wait_for_url("**/sign-in?next=*somewhere")


def test_a_next_address_of_another_site_is_not_followed(
    browser: Browser, site: LocalServer, looks: Looks
) -> None:
    """A link to the sign-in page leads nowhere else."""
    with opened(browser, site, looks) as tab:
        tab.goto("/sign-in?next=//evil.example/x")
        tab.get_by_role("textbox", name="API key").fill(site.key)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url(f"**{WORKSPACE}")

        assert tab.url.startswith(site.url)
