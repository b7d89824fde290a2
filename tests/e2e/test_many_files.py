"""A directory of very many files: delivered whole, in bounded memory, and shown without being listed.

20,000 of them in `make test`, 100,000 and more in `make faults`.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

import pytest

import rundial as rd
from tests.perf.burst import memory
from tests.support import rounds
from tests.support.processes import own_parts
from tests.support.program import ServerProgram

COUNT = min(100_000, 20_000 * rounds.scale())
CONTENTS = 20
# What is known of a file until it is delivered: names, a digest, where it lies.
BYTES_A_FILE = 1_500
CALL_S = 0.5


# Minutes on a busy machine: a snapshot of each file, and a row for it in the database.
@pytest.mark.timeout(600)
def test_very_many_files_are_delivered(server: ServerProgram, tmp_path: Path) -> None:
    """The call returns at once, every file is there, equal ones are sent once, and memory stays bounded."""
    data = tmp_path / "data"
    for number in range(CONTENTS):
        (tmp_path / f"{number}").write_bytes(os.urandom(64))
    for number in range(COUNT):
        place = data / f"shard-{number // 1_000:03}"
        if number % 1_000 == 0:
            place.mkdir(parents=True)
        # Names of one file are as many files to whoever reads them, and sooner made.
        os.link(tmp_path / f"{number % CONTENTS}", place / f"sample-{number:06}.bin")
    with own_parts():
        run = rd.init(
            project="digits", endpoint=server.url, api_key=server.key, spool_directory=tmp_path / "spool"
        )
        Path("/proc/self/clear_refs").write_text("5")
        before, start = memory("VmRSS"), monotonic()
        assert run.log_artifact(data)
        called_s = monotonic() - start
        assert run.flush(560), run.diagnostics().last_error
        grown = memory("VmHWM") - before
        assert run.finish(10)
    with rd.Client(server.url, api_key=server.key, request_timeout_seconds=60) as client:
        known = client.artifact(
            workspace_slug="default-workspace", project_slug="digits", artifact_ref="data", max_files=2
        )
    kept = [path for path in (server.data / "blobs").rglob("*") if path.is_file()]

    assert called_s < CALL_S
    assert (known["fileCount"], known["sizeBytes"], len(known["files"])) == (COUNT, 64 * COUNT, 2)
    assert len(kept) == CONTENTS
    assert grown < COUNT * BYTES_A_FILE
