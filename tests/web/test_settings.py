"""A workspace's settings in a browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.support.server import LocalServer
from tests.support.world import PASSWORD
from tests.web.browser import WORKSPACE, Looks, opened, sign_in
from tests.web.library import PLANTED, is_unharmed

SETTINGS = f"{WORKSPACE}/-/settings"
API = "/api/v1/workspaces/default-workspace"


def test_a_key_is_made_shown_once_and_revoked(page: Page, site: LocalServer) -> None:
    """Its text is on the page while the window is open, and then nowhere; a revoked key opens nothing."""
    site.project_id()
    page.goto(f"{SETTINGS}?project=digits")
    page.get_by_label("Name", exact=True).fill("nodes")
    page.get_by_label("Expires").select_option("in 7 days")
    page.get_by_role("checkbox", name="follow lines as they come").uncheck()
    page.get_by_role("button", name="Make the key").click()
    window = page.get_by_role("dialog", name="The new key")
    key = window.get_by_label("the key", exact=True).inner_text()
    assert key.startswith("rdk_")
    assert site.get("/api/v1/auth/whoami", key=key).status == 200
    window.get_by_role("button", name="Close").click()
    row = page.get_by_role("table", name="Keys").get_by_role("row").nth(1)
    expect(row).to_contain_text("nodes")
    expect(row).not_to_contain_text("stream:read")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke nodes").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")

    assert site.get("/api/v1/auth/whoami", key=key).status == 401


def test_people_are_added_given_a_role_and_removed(page: Page, site: LocalServer) -> None:
    """What is refused is said beside the form, and what was typed stays."""
    page.goto(f"{SETTINGS}/members")
    expect(page.get_by_role("heading", name="No member yet")).to_be_visible()
    page.get_by_label("E-mail").fill("ada@example.org")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("there is no such account")
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_role("button", name="Add").click()
    role = page.get_by_label("Role of ada@example.org")
    expect(role).to_have_value("member")
    role.select_option("viewer")
    expect(page.get_by_label("Role of ada@example.org")).to_have_value("viewer")
    (member,) = site.get(f"{API}/members").json["members"]
    assert member["role"] == "viewer"
    page.get_by_role("button", name="Remove ada@example.org").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()

    expect(page.get_by_role("heading", name="No member yet")).to_be_visible()


def test_an_agent_gets_a_key_and_its_deeds_are_found(page: Page, site: LocalServer) -> None:
    """Its key is for one project; the way from the agent to what it did is one click."""
    site.project_id()
    page.goto(f"{SETTINGS}/agents")
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_role("button", name="Make the agent").click()
    page.get_by_role("button", name="New key for nightly").click()
    page.get_by_role("dialog").get_by_role("button", name="Make the key").click()
    key = page.get_by_label("the key", exact=True).inner_text()
    assert site.get("/api/v1/auth/whoami", key=key).json["agent"]["name"] == "nightly"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Deeds of nightly").click()
    page.wait_for_url("**/settings/audit?agent=*")

    expect(page.get_by_role("table", name="Audit log")).to_contain_text("api_key.create")


def test_the_audit_log_is_read_to_its_first_deed(page: Page, site: LocalServer) -> None:
    """Pages come as they are scrolled to; the filter is in the address."""
    for number in range(230):
        assert site.post(f"{API}/agents", {"name": f"agent-{number}"}).status == 200
    page.goto(f"{SETTINGS}/audit")
    table = page.get_by_role("table", name="Audit log")
    expect(table).to_contain_text("agent-229")
    table.evaluate(
        """each => new ResizeObserver(() => { each.scrollTop = each.scrollHeight; })
            .observe(each.querySelector(".grid-body"))"""
    )
    expect(table).to_contain_text("name: agent-0")
    assert table.get_by_role("row").count() < 60
    page.get_by_label("Done by").select_option("the server")
    page.wait_for_url("**/audit?by=system")

    expect(table).not_to_contain_text("agent-229")


def test_a_project_is_told_how_long_to_keep_its_runs(page: Page, site: LocalServer) -> None:
    """Deleting old runs asks first; taking the limit away does not."""
    site.project_id()
    page.goto(f"{SETTINGS}/projects")
    days = page.get_by_label("Days that runs of digits are kept")
    days.fill("30")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("dialog")).to_contain_text("not heard of for 30 days")
    page.get_by_role("dialog").get_by_role("button", name="Delete them").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    expect(days).to_have_value("30")
    days.fill("")
    page.get_by_role("button", name="Set").click()
    page.reload()

    expect(days).to_have_value("")


def test_who_may_not_see_settings_is_told_whom_to_ask(
    browser: Browser, site: LocalServer, looks: Looks
) -> None:
    """The server decides, and its words are shown."""
    with opened(browser, site, looks) as tab:
        sign_in(tab.context, site.make_key(["project:read"]))
        tab.goto(f"{SETTINGS}/members")

        expect(tab.get_by_role("alert")).to_contain_text("could not be shown")


def test_nothing_that_is_planted_in_settings_runs(page: Page, site: LocalServer) -> None:
    """Labels of keys, names of people and agents, details of deeds: all are texts."""
    site.project_id()
    person = {"email": "ada@example.org", "role": "member", "password": PASSWORD, "name": PLANTED}
    assert site.post(f"{API}/members", person).status == 200
    assert site.post(f"{API}/agents", {"name": PLANTED}).status == 200
    assert site.post(f"{API}/api-keys", {"label": PLANTED}).status == 200
    for tab, name in (("", "Keys"), ("/members", "Members"), ("/agents", "Agents"), ("/audit", "Audit log")):
        page.goto(SETTINGS + tab)
        expect(page.get_by_role("table", name=name)).to_contain_text(PLANTED)
        assert is_unharmed(page)
