"""A headless Chromium over its debugging pipe: what a page logs, asks of the network, and shows."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
SECONDS = 60.0


class Chromium:
    """One page. ``logged``: console messages and uncaught errors; ``asked``: what was requested."""

    def __init__(self, profile: Path, width: int = 1360, height: int = 900) -> None:
        program = next((p for p in map(shutil.which, _NAMES) if p), None)
        if program is None:
            pytest.skip("no Chromium is installed")
        take, self._give = os.pipe()
        self._take, give = os.pipe()
        # The browser reads its orders from descriptor 3 and answers on 4.
        words = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        flags = (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}")
        self._process = subprocess.Popen(
            [
                *("bash", "-c", words, "bash", str(take), str(give), program),
                *(*flags, "--remote-debugging-pipe", "about:blank"),
            ],
            pass_fds=(take, give),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(take)
        os.close(give)
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.logged: list[tuple[str, str]] = []
        self.asked: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result."""
        self._number += 1
        order: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            order["sessionId"] = self._session
        os.write(self._give, json.dumps(order).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            said = self._next(until)
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                result: dict[str, Any] = said["result"]
                return result
            self._note(said)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._take], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium did not answer in time"
            read = os.read(self._take, 1 << 20)
            assert read, "Chromium ended"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(line)
        return said

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        match said.get("method"):
            case "Runtime.consoleAPICalled":
                words = " ".join(str(a.get("value", a.get("description"))) for a in params["args"])
                self.logged.append((params["type"], words))
            case "Runtime.exceptionThrown":
                self.logged.append(("error", json.dumps(params["exceptionDetails"])))
            case "Log.entryAdded":
                self.logged.append((params["entry"]["level"], params["entry"]["text"]))
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])

    def open(self, path: Path) -> None:
        """Open a file and wait until its pictures are drawn."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        ready = (
            "document.readyState == 'complete' && (!window.levsim || levsim.ready.then(() => true))"
        )
        self.until(f"location.protocol == 'file:' && {ready}")

    def until(self, script: str, *, settled: bool = True) -> None:
        """Wait until an expression is true in the page."""
        until = time.monotonic() + SECONDS
        while not self.run(script, settled=settled):
            assert time.monotonic() < until, f"the page was not ready in time: {script}"
            time.sleep(0.05)

    def run(self, script: str, *, settled: bool = True) -> Any:
        """The value of an expression in the page; promises are waited for, unless ``settled`` is
        false: where the page may run no scripts, none ever settles."""
        said = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=settled
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def prefer(self, scheme: str) -> None:
        """The reader prefers ``light`` or ``dark``."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot as PNG, of the window or of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._give)
        os.close(self._take)
