"""A real browser without a window: Chromium, spoken to through the pipe of its debugging protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servers.needs import require

#: The file descriptors that Chromium reads commands from and writes answers to (--remote-debugging-pipe).
_COMMANDS, _ANSWERS = 3, 4

_OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """One page of a headless Chromium, ended with the ``with`` block.

    Parameters
    ----------
    profile : Path
        A directory of its own.
    """

    def __init__(self, profile: Path) -> None:
        program = require("chromium", "chromium")
        # Chromium's sandbox refuses to run as root, as tests in containers do.
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        argv = [program, *_OPTIONS, *sandbox, f"--user-data-dir={profile}", "about:blank"]
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, commands, _COMMANDS),
            (os.POSIX_SPAWN_DUP2, answers, _ANSWERS),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(profile / "log"), os.O_WRONLY | os.O_CREAT, 0o600),
        ]
        profile.mkdir(parents=True, exist_ok=True)
        self._process = os.posix_spawn(program, argv, os.environ, file_actions=actions, setpgroup=0)
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.killpg(self._process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self._process, 0)
        os.close(self._commands)
        os.close(self._answers)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the debugging protocol to the page, and its result."""
        return self._ask(method, self._session, **parameters)

    def open(self, file: Path, width: int = 1200, height: int = 900) -> None:
        """Load a page from a file, in a window of this size, and wait until it is drawn."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.events.clear()
        # Of this page: that the one before it is loaded may be said only now.
        loader = self.ask("Page.navigate", url=file.as_uri())["loaderId"]
        self._wait_for("Page.lifecycleEvent", loaderId=loader, name="load")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click in the middle of an element, with the mouse, as a person would."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        left, top = self.evaluate(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1)

    def screenshot(self, file: Path) -> None:
        """What the window shows, as a PNG."""
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """What the browser has said of the page: errors, things its policy stopped."""
        self.evaluate("0")
        return [
            str(event["params"])
            for event in self.events
            if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]

    def requests(self) -> list[str]:
        """The addresses that the page had fetched."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        message = json.dumps(command).encode() + b"\0"
        while message:
            message = message[os.write(self._commands, message) :]
        while True:
            answer = self._answer()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _wait_for(self, method: str, **parameters: str) -> None:
        def is_it(event: dict[str, Any]) -> bool:
            return event["method"] == method and parameters.items() <= event["params"].items()

        while not any(map(is_it, self.events)):
            self._answer()

    def _answer(self, timeout: float = 200.0) -> dict[str, Any]:
        """The next message; events are kept."""
        deadline = time.monotonic() + timeout
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        if "method" in answer:
            self.events.append(answer)
        return answer
