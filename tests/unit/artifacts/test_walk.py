"""Which files a directory artifact has."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rundial.artifacts.walk import Found, LeftOut, walk


def _walk(root: Path) -> tuple[list[str], dict[str, str]]:
    entries = list(walk(str(root)))
    found = [each.path for each in entries if isinstance(each, Found)]
    return found, {each.path: each.why for each in entries if isinstance(each, LeftOut)}


def test_files_are_taken_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """The same files always make the same manifest, empty ones and names in any alphabet among them."""
    for name in ("b", "a/c", "a/b", "日本/é", "empty", "dir/"):
        path = tmp_path / name
        if name.endswith("/"):
            path.mkdir()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty" else name)

    assert _walk(tmp_path) == (["a/b", "a/c", "b", "empty", "日本/é"], {})


def test_links_are_followed_to_files_inside_and_nowhere_else(tmp_path: Path) -> None:
    """A stray link takes neither a home directory nor a key along, and no circle is walked for ever."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "key").write_text("secret")
    (root / "sub").mkdir(parents=True)
    (root / "real").write_text("x")
    (root / "inside").symlink_to("real")
    (root / "key").symlink_to(outside / "key")
    (root / "home").symlink_to(outside)
    (root / "circle").symlink_to(root)
    (root / "sub" / "up").symlink_to("../..")
    (root / "nowhere").symlink_to("gone")

    found, left_out = _walk(root)

    assert found == ["inside", "real"]
    assert set(left_out) == {"circle", "home", "key", "nowhere", "sub/up"}
    assert "outside" in left_out["key"]


def test_root_may_itself_be_a_link(tmp_path: Path) -> None:
    """What the user names is the user's own choice."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("x")
    (tmp_path / "link").symlink_to("real")

    assert _walk(tmp_path / "link") == (["a"], {})


def test_what_is_no_file_is_left_out_and_said(tmp_path: Path) -> None:
    """Reading a pipe may never end: it is not opened."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        where = os.getcwd()
        os.chdir(tmp_path)
        sock.bind("socket")
        os.chdir(where)

        assert _walk(tmp_path) == ([], dict.fromkeys(("pipe", "socket"), "neither a file nor a directory"))


def test_name_that_is_no_text_is_taken_in_words(tmp_path: Path) -> None:
    """A name in no known encoding goes with its bytes spelled out."""
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    with open(raw, "wb") as file:
        file.write(b"x")

    (found,) = walk(str(tmp_path))
    assert found.path == "caf\\udce9" or found.path == "caf\\xe9"
    assert isinstance(found, Found)
    assert Path(found.source).read_bytes() == b"x"
