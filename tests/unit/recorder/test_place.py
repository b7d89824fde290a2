"""Where a ring may live: rule 6, by the text of mountinfo."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rundial.recorder import place
from rundial.recorder.place import Place, choose

SIZE = 2 << 20
# The page of a spool and shared memory that a test really has; the kinds are the test's.
PAGE = "36 35 98:0 /root {point} rw,noatime master:1 - {kind} {source} {options}"


def mount(point: object, kind: str, *, options: str = "rw") -> str:
    """Return one line of mountinfo."""
    return PAGE.format(point=str(point).replace(" ", "\\040"), kind=kind, source="/dev/x", options=options)


@pytest.fixture
def shm(tmp_path: Path) -> Path:
    """A directory that stands for /dev/shm."""
    place = tmp_path / "shm"
    place.mkdir()
    return place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A spool directory."""
    place = tmp_path / "my spool"
    place.mkdir()
    return place


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "xfs"])
def test_a_local_disk_of_the_list_holds_the_ring(root: Path, shm: Path, kind: str) -> None:
    """The ring survives the process and a clean reboot."""
    text = "\n".join([mount("/", "btrfs"), mount(root, kind), mount(shm, "tmpfs")])

    assert choose(root, SIZE, mountinfo=text, shm=shm) == Place(root, "disk", SIZE)


def test_a_spool_in_memory_has_its_ring_there_and_says_host(root: Path, shm: Path) -> None:
    """Nobody is told that a tmpfs survives a reboot."""
    text = "\n".join([mount("/", "ext4"), mount(root, "tmpfs")])

    assert choose(root, SIZE, mountinfo=text, shm=shm) == Place(root, "host", SIZE)


@pytest.mark.parametrize("kind", ["btrfs", "nfs", "nfs4", "lustre", "fuse.sshfs", "9p", "zfs", "cifs", "new"])
def test_a_file_system_that_is_not_on_the_list_holds_no_ring(root: Path, shm: Path, kind: str) -> None:
    """On btrfs a full disk kills the process, on the others nobody knows: shared memory instead."""
    text = "\n".join([mount("/", "ext4"), mount(root, kind), mount(shm, "tmpfs")])

    assert choose(root, SIZE, mountinfo=text, shm=shm) == Place(shm, "host", SIZE)


def test_without_a_place_the_ring_is_memory(root: Path, shm: Path) -> None:
    """A run goes on without the kill promise, and diagnostics say so."""
    memory = Place(None, "memory", SIZE)
    assert choose(root, SIZE, mountinfo=mount("/", "nfs4"), shm=shm) == memory
    # A /dev/shm that is no tmpfs is a directory of the root file system.
    assert choose(root, SIZE, mountinfo=mount("/", "btrfs"), shm=shm) == memory
    assert choose(root, SIZE, mountinfo="\n".join([mount("/", "nfs")]), shm=root / "none") == memory
    assert choose(root, SIZE, mountinfo="", shm=shm) == memory


def test_shared_memory_gives_at_most_an_eighth_of_what_is_free(
    root: Path, shm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's 64 MiB of /dev/shm are the application's, not ours; under 1 MiB we take none."""
    text = "\n".join([mount("/", "nfs4"), mount(shm, "tmpfs")])
    free = {shm: 64 << 20}
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_bavail=free[path] // 4096, f_frsize=4096)
    )

    assert choose(root, 16 << 20, mountinfo=text, shm=shm) == Place(shm, "host", 8 << 20)
    assert choose(root, 2 << 20, mountinfo=text, shm=shm) == Place(shm, "host", 2 << 20)
    free[shm] = 7 << 20
    assert choose(root, 2 << 20, mountinfo=text, shm=shm) == Place(None, "memory", 2 << 20)


def test_a_disk_that_is_nearly_full_holds_no_ring(root: Path, shm: Path) -> None:
    """The ring never takes the last blocks of a disk from the spool beside it."""
    text = mount("/", "ext4")

    assert choose(root, 1 << 60, mountinfo=text, shm=shm).durability == "memory"


def test_the_longest_mount_point_counts_and_the_latest_of_equal_ones(root: Path, shm: Path) -> None:
    """Mounts over mounts, names with blanks, and names that only begin alike are told apart."""
    twin = mount(f"{root}ing", "nfs")
    text = "\n".join([mount(root, "ext4"), mount("/", "nfs"), twin, "", "no mountinfo at all"])
    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == "disk"

    text += "\n" + mount(root, "nfs")
    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == "memory"


def overlay(upper: object) -> str:
    """Return the line of a container's root."""
    return mount("/", "overlay", options=f"rw,lowerdir=/l1:/l2,upperdir={upper},workdir=/w")


@pytest.mark.parametrize(
    ("kind", "durability"), [("ext4", "container"), ("xfs", "container"), ("btrfs", "memory")]
)
def test_an_overlay_is_as_good_as_what_holds_its_writable_layer(
    root: Path, shm: Path, tmp_path: Path, kind: str, durability: str
) -> None:
    """Where the layer's directory can be seen, its own file system decides."""
    upper = tmp_path / "upper"
    upper.mkdir()
    text = "\n".join(
        [overlay(upper), mount(upper.parent, kind), mount(root, "overlay", options=f"upperdir={upper}")]
    )

    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == durability


@pytest.mark.parametrize(
    ("kinds", "durability"),
    [
        (["ext4", "ext4"], "container"),
        (["ext4", "btrfs"], "memory"),
        (["tmpfs", "tmpfs"], "memory"),
        ([], "memory"),
    ],
)
def test_inside_a_container_the_engines_own_files_tell(
    root: Path, shm: Path, kinds: list[str], durability: str
) -> None:
    """The layer's directory is out of sight there; what cannot be known is not mapped."""
    files = [mount(point, kind) for point, kind in zip(place.ENGINE_FILES, kinds, strict=False)]
    text = "\n".join([overlay("/var/lib/engine/none/diff"), *files])

    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == durability


def test_this_machines_own_mountinfo_is_understood(tmp_path: Path) -> None:
    """Whatever is mounted here, a place is found and has the wanted size or less."""
    found = choose(tmp_path, SIZE)

    assert found.durability in ("disk", "container", "host", "memory")
    assert found.size_bytes <= SIZE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has a mountinfo")
def test_this_machines_own_mountinfo_is_what_is_read(tmp_path: Path) -> None:
    """A run finds the same place as one that is handed the kernel's own text."""
    text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    found = place._mount_of(str(tmp_path.resolve()), place._parse(text))

    assert choose(tmp_path, SIZE) == choose(tmp_path, SIZE, mountinfo=text)
    assert found is not None
    assert choose(tmp_path, SIZE) != choose(tmp_path, SIZE, mountinfo="") or found.kind not in place.MAPPABLE


def test_the_directory_itself_and_what_lies_below_are_inside_a_mount(root: Path, shm: Path) -> None:
    """A mount point named with a slash at its end, as the root is, holds what lies below it."""
    below = root / "below"
    below.mkdir()
    text = "\n".join([mount("/", "nfs"), mount(f"{root}/", "ext4")])

    assert choose(below, SIZE, mountinfo=text, shm=shm).durability == "disk"


def test_all_kinds_of_the_list_together_are_still_known(root: Path, shm: Path) -> None:
    """Engine files on several good file systems are as good as on one."""
    good = sorted(place.MAPPABLE - {"tmpfs"})
    files = [mount(point, kind) for kind in good for point in place.ENGINE_FILES[:1]]
    text = "\n".join([overlay("/var/lib/engine/none/diff"), *files])

    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == "container"


def test_a_boot_and_a_host_have_names_that_stay() -> None:
    """Two rings of one boot say the same."""
    assert place.boot_id() == place.boot_id()
    assert len(place.boot_id()) == 16
    assert place.host_id() == place.host_id() != ""


@pytest.mark.parametrize(("free_bytes", "durability"), [(2 * SIZE, "disk"), (2 * SIZE - 4096, "memory")])
def test_a_disk_must_have_room_for_twice_the_ring(
    root: Path, shm: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, durability: str
) -> None:
    """The spool beside the ring has at least as much room as the ring took."""
    free = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: free)

    assert choose(root, SIZE, mountinfo=mount("/", "ext4"), shm=shm).durability == durability


@pytest.mark.parametrize(("free_bytes", "durability"), [(8 << 20, "host"), ((8 << 20) - 4096, "memory")])
def test_shared_memory_must_have_eight_times_the_least_ring(
    root: Path, shm: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, durability: str
) -> None:
    """A ring of 1 MiB is taken of 8 MiB, and of less than that none."""
    free = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    text = "\n".join([mount("/", "nfs4"), mount(shm, "tmpfs")])

    assert choose(root, 2 << 20, mountinfo=text, shm=shm).durability == durability


def test_an_overlay_on_a_full_disk_holds_no_ring(root: Path, shm: Path, tmp_path: Path) -> None:
    """A container's layer is asked for room as a disk is."""
    text = "\n".join(
        [overlay(tmp_path), mount(tmp_path, "ext4"), mount(root, "overlay", options=f"upperdir={tmp_path}")]
    )

    assert choose(root, SIZE, mountinfo=text, shm=shm) == Place(root, "container", SIZE)
    assert choose(root, 1 << 60, mountinfo=text, shm=shm).durability == "memory"


def test_an_overlay_whose_layer_is_not_named_holds_no_ring(root: Path, shm: Path) -> None:
    """What cannot be known is not mapped, even where the engine's files lie well."""
    files = [mount(point, "ext4") for point in place.ENGINE_FILES]
    text = "\n".join([mount("/", "overlay", options="rw,lowerdir=/l1,upperdir=,workdir"), *files])

    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == "memory"


def test_lines_of_mountinfo_that_are_cut_short_are_left_out(root: Path, shm: Path) -> None:
    """A line that a later kernel writes otherwise costs that mount alone."""
    point = str(root).replace(" ", "\\040")
    cut = ["36 35 98:0 / - nfs4 /dev/x rw", f"36 35 98:0 / {point} rw -", f"36 35 98:0 / {point}", " - "]
    text = "\n".join([mount("/", "ext4"), *cut])
    short = f"36 35 98:0 / {point} - nfs4"

    assert choose(root, SIZE, mountinfo=text, shm=shm).durability == "disk"
    assert choose(root, SIZE, mountinfo=f"{text}\n{short}", shm=shm).durability == "memory"


def test_a_boot_and_a_host_are_the_ones_that_the_machine_names() -> None:
    """Another program on this machine can tell whose ring it is."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    named = Path("/etc/machine-id")

    assert place.boot_id().hex() == boot.replace("-", "")
    assert place.host_id() == ((named.read_text().strip() if named.exists() else "") or socket.gethostname())
