"""What `import rundial` may cost a training script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "requests",
    "google.protobuf",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "urllib3",
    "click",
    "psutil",
    "tomlkit",
    "numpy",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "rich",
    "asyncio",
)
# What `init` may not need either, in a run that sends nothing: parsers, compilers of classes, and what the
# encoder's thread imports for itself.
NOT_FOR_INIT = (
    *(name for name in HEAVY if name != "opentelemetry.sdk"),
    "json",
    "re",
    "enum",
    "queue",
    "weakref",
    "dataclasses",
    "typing",
    "contextlib",
    "pathlib",
    "fnmatch",
    "urllib",
    "ipaddress",
    "subprocess",
    "inspect",
    "logging",
    "traceback",
    "importlib.metadata",
    "email",
    "zipfile",
    "tempfile",
    "shutil",
    "uuid",
    "platform",
    "socket",
    "ssl",
    "http",
    "hashlib",
    "random",
    "difflib",
    "datetime",
    "tomllib",
    "concurrent.futures",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.resources",
    "opentelemetry.trace",
    "opentelemetry.proto",
    "rundial.diagnostics",
    "rundial.export",
    "rundial.api.client",
    "rundial.api.handshake",
    "rundial.api.adopt",
    "rundial.recorder.recovery",
    "rundial.recorder.batches",
    "rundial.spool.lane",
    "rundial.spool.segment",
    "rundial.signals.otlp",
    "rundial.signals.packer",
)
INIT = """
import os, sys
import rundial
run = rundial.init(project="p", mode="offline", spool_directory=sys.argv[1], flush_interval_seconds=3600)
run.log({"loss": 1.0, "accuracy": 0.5})
run.log_text("started")
print(*sorted(sys.modules), flush=True)
os._exit(0)
"""


def _loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True, timeout=15
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a fresh interpreter after `import rundial`, less those it has anyway."""
    return _loaded_by("import rundial") - _loaded_by("")


def test_import_rundial_loads_no_heavy_module(loaded: set[str]) -> None:
    """Importing Rundial costs a script neither a network stack nor an SDK."""
    assert "rundial" in loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_import_rundial_loads_at_most_a_handful_of_its_own_modules(loaded: set[str]) -> None:
    """The public names are loaded on first use, not at import."""
    own = {name for name in loaded if name.startswith("rundial.")}

    assert sorted(own) == ["rundial.version"]


def test_import_rundial_loads_nothing_of_the_standard_library(loaded: set[str]) -> None:
    """Not even `typing`, which would be all that the import costs."""
    assert sorted(name for name in loaded if not name.startswith("rundial")) == ["__future__"]


def test_an_offline_run_loads_neither_protobuf_nor_a_network_stack(tmp_path: Path) -> None:
    """Points, lines and run events are recorded and encoded by what is Rundial's own."""
    script = (
        "import rundial as rd\n"
        f"run = rd.init(project='x', mode='offline', spool_directory={str(tmp_path)!r})\n"
        "assert run.log({'a': 1.0}) and run.log_text('line') and run.finish()"
    )
    heavy = {"google.protobuf", "opentelemetry.sdk.trace", "opentelemetry.exporter", "urllib3"}

    assert sorted(_loaded_by(script) & heavy) == []


def test_an_offline_run_imports_at_no_time_what_only_annotations_need(tmp_path: Path) -> None:
    """What `init` does without is not made up for by the encoder's thread, nor at the end of the run."""
    script = (
        "import rundial as rd\n"
        f"run = rd.init(project='x', mode='offline', spool_directory={str(tmp_path)!r})\n"
        "assert run.log({'a': 1.0}) and run.log_text('line') and run.finish()"
    )

    assert sorted(_loaded_by(script) & {"typing", "pathlib", "urllib", "ipaddress"}) == []


def test_offline_init_and_the_first_records_load_no_module_that_they_can_do_without(tmp_path: Path) -> None:
    """A script waits for no parser, no HTTP and no encoder at its start, nor at its first record."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(
        [sys.executable, "-c", INIT, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=15,
        env=environ,
    )
    loaded = set(done.stdout.split()) - _loaded_by("")

    assert "rundial.recorder.ring" in loaded
    assert sorted(loaded & set(NOT_FOR_INIT)) == []
    assert len([name for name in loaded if name.startswith("rundial.")]) <= 70


@pytest.mark.parametrize("extra", ["keyring", "numpy", "starlette", "sqlalchemy", "uvicorn"])
def test_cli_without_an_extra_still_prints_its_help(extra: str) -> None:
    """The command line works with the plain installation, whatever extra is missing."""
    script = f"import sys; sys.modules[{extra!r}] = None; from rundial.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=False, timeout=15
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "server" in done.stdout


QUIET = """
import sys, threading
import rundial
from rundial.api import session
loud = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread().name == "rundial-encoder":
            quiet = session.current().parts.pipeline.quiet
            if not quiet._lock.locked():
                loud.append(name)
sys.meta_path.insert(0, Watch())
run = rundial.init(project="p", mode="offline", spool_directory=sys.argv[1], system_metrics=False)
run.log({"loss": 1.0})
run.log_text("started")
with run.trace("span"):
    pass
assert run.flush(10)
print(*loud, flush=True)
"""


def test_the_encoder_imports_nothing_that_a_fork_could_be_in_the_midst_of(tmp_path: Path) -> None:
    """A child that forks meanwhile would wait for ever for a lock of an import that nobody ends there."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "spool")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=15,
        env=environ,
    )

    assert done.stdout.split() == []
