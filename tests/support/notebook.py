"""A notebook's kernel, as Jupyter starts and restarts it: a real ipykernel behind a real client."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from jupyter_client.manager import KernelManager

READY_S = 40


class Notebook:
    """One kernel, started by entering and ended by leaving."""

    def __init__(self) -> None:
        self._manager = KernelManager()

    def __enter__(self) -> Notebook:
        self._manager.start_kernel()
        self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> dict[str, str]:
        """Run one cell and return what it showed: `stdout`, `stderr`, `error`, `text/html`."""
        shown: dict[str, str] = {}

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown[content["name"]] = shown.get(content["name"], "") + content["text"]
            elif message["msg_type"] == "error":
                shown["error"] = "\n".join(content["traceback"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.update({name: str(value) for name, value in content["data"].items()})

        self._client.execute_interactive(code, timeout=READY_S, output_hook=hook)
        return shown

    def restart(self) -> None:
        """Restart the kernel as the button does: it is asked to leave, and another one starts."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=False)
        self._connect()

    def kill(self) -> None:
        """End the kernel with SIGKILL and start another one."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._connect()

    def shut_down(self) -> None:
        """Ask the kernel to leave, as closing the notebook does."""
        self._manager.shutdown_kernel(now=False)

    def _connect(self) -> None:
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=READY_S)
