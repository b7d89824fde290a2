"""Processes that are there at once: forked from one that has imported everything and done nothing.

A test that kills hundreds of processes cannot wait for as many interpreters to start. Each child is a
process of its own, with a socket to the test, and ends as any program does: by SIGKILL, or by leaving
its main function, with all its exit hooks.

    with Nursery("tests.support.puppet") as nursery:
        child = nursery.fork()
        child.ask("log", ...)
        child.kill()

Run as `python -m tests.support.nursery DESCRIPTOR MODULE`, whose `serve(connection)` is the child's
main function. The parent's side is `Nursery` and `Child`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

DEADLINE_S = 20.0
_FORK = b"f"
_NUMBER_BYTES = 8


class Child:
    """One forked process: asked by name, answers in JSON.

    Args:
        nursery: Its parent, which alone can tell how it ended.
        connection: The socket to it.
        pid: Its process id.
    """

    def __init__(self, nursery: Nursery, connection: socket.socket, pid: int) -> None:
        self._nursery = nursery
        self._connection = connection
        self._answers = connection.makefile("r")
        self.pid = pid

    def __repr__(self) -> str:
        return f"process {self.pid}"

    def ask(self, what: str, **arguments: Any) -> Any:
        """Have something done and return what came of it.

        Raises:
            AssertionError: It failed, or the process is gone.
        """
        self._send(what, arguments)
        line = self._answers.readline()
        assert line, f"the process ended while it was to {what}"
        answer = json.loads(line)
        assert "failure" not in answer, answer["failure"]
        return answer["result"]

    def ask_and_kill(self, after_s: float, what: str, **arguments: Any) -> None:
        """Kill the process this many seconds after something was begun, or when it is done."""
        self._send(what, arguments)
        self._connection.settimeout(after_s or 1e-6)
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            pass  # it is in the middle of it, as it should be
        self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL; returns when nothing of it is left."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._end() == -signal.SIGKILL

    def leave(self) -> None:
        """Have the process end as a program does whose last line is done."""
        self._connection.shutdown(socket.SHUT_WR)
        assert self._end() == 0

    def _send(self, what: str, arguments: dict[str, Any]) -> None:
        self._connection.settimeout(DEADLINE_S)
        self._connection.sendall(json.dumps([what, arguments]).encode() + b"\n")

    def _end(self) -> int:
        status = self._nursery.wait(self.pid)
        self._answers.close()
        self._connection.close()
        return status


class Nursery:
    """The process that all the others are forked from; a context manager.

    Args:
        module: What a child runs.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> Nursery:
        self._control, there = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.nursery", str(there.fileno()), self._module]
        self._process = subprocess.Popen(command, pass_fds=[there.fileno()])
        there.close()
        self._control.settimeout(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        try:
            self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
            self._process.wait()

    def fork(self) -> Child:
        """Return a new process."""
        here, there = socket.socketpair()
        socket.send_fds(self._control, [_FORK], [there.fileno()])
        there.close()
        return Child(self, here, self._number())

    def wait(self, pid: int) -> int:
        """Wait for the end of a process; return its exit status, negative for a signal."""
        self._control.sendall(b"w" + pid.to_bytes(_NUMBER_BYTES, "little"))
        return self._number()

    def _number(self) -> int:
        answer = self._control.recv(_NUMBER_BYTES, socket.MSG_WAITALL)
        assert len(answer) == _NUMBER_BYTES, "the nursery ended"
        return int.from_bytes(answer, "little", signed=True)


def main() -> None:
    """Fork and wait as asked, until the test is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    module = importlib.import_module(sys.argv[2])
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 + _NUMBER_BYTES, 1)
        if not message:
            return
        if message != _FORK:
            _, status = os.waitpid(int.from_bytes(message[1:], "little"), 0)
            control.sendall(_packed(os.waitstatus_to_exitcode(status)))
            continue
        connection = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            module.serve(connection)
            return
        connection.close()
        control.sendall(_packed(pid))


def _packed(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "little", signed=True)


if __name__ == "__main__":
    main()
