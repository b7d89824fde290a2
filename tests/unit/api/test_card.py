"""What a notebook shows of a run."""

from __future__ import annotations

from collections.abc import Callable

from rundial.api.card import card, run_url
from rundial.api.run import Run
from rundial.value import changed

Start = Callable[..., Run]


def test_card_names_the_run_and_its_status(start: Start) -> None:
    """A cell that ends with a run shows which one it is and how it goes."""
    run = start(name="night", run_id="run-7")
    before = run._repr_html_()
    run.finish(status="failed")

    assert all(word in before for word in ("night", "run-7", "digits", "running", "offline"))
    assert "failed" in run._repr_html_()


def test_card_escapes_whatever_a_run_is_called(start: Start) -> None:
    """A name is never markup."""
    run = start(name="<script>alert(1)</script>", project='a"b')

    shown = run._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_card_links_to_the_server_only_where_there_is_one(start: Start) -> None:
    """An online run links to its page, each part of the address escaped; an offline one does not."""
    run = start(run_id="run-7")
    online = changed(run.settings, mode="online", endpoint="https://tracker.example")
    identity = {**run.identity, "workspace": "a b", "project": 'x"><b>'}

    assert "href" not in run._repr_html_()
    assert run_url(online, None, "p", "r") is None
    assert run_url(changed(online, is_plain_otlp=True), "w", "p", "r") is None
    assert run_url(online, "a b", "p/q", "r") == "https://tracker.example/a%20b/p%2Fq/runs/r"
    shown = card(identity, online, "running")
    assert 'href="https://tracker.example/a%20b/x%22%3E%3Cb%3E/runs/run-7"' in shown
    assert "<b>" not in shown
