"""Chromium without a window, told what to do over the DevTools protocol, through two pipes.

<https://chromedevtools.github.io/devtools-protocol/>; messages are JSON with a NUL behind each.
"""

import json
import os
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nodetrust.command.browser import Browser, browser_arguments

TO_BROWSER, FROM_BROWSER = 3, 4
"""The file descriptors that `--remote-debugging-pipe` means."""

HEADLESS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)

LOOK_SECONDS = 0.05


class DevToolsError(Exception):
    """The browser refused a command, or a script threw."""


class Chromium(Browser):
    """A browser with one tab."""

    def __init__(self, reactor: Any, program: str) -> None:
        super().__init__(reactor, program)
        self.events: list[dict[str, Any]] = []
        """Everything that the tab has told, in its order."""
        self._unread = b""
        self._answers: dict[int, Deferred[Any]] = {}
        self._last = 0
        self._session: str | None = None

    async def open(self, zone: str, home: Path, more: tuple[str, ...] = ()) -> None:
        """Start it with an empty tab; `home` says whom it trusts."""
        arguments = [*HEADLESS, *more, *browser_arguments(zone, self.profile, None, "about:blank")]
        pipes = {0: "w", 1: "r", 2: "r", TO_BROWSER: "w", FROM_BROWSER: "r"}
        self.start(arguments, {**os.environ, "HOME": str(home)}, childFDs=pipes)
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            await self.send(f"{domain}.enable")

    async def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._answers[self._last] = Deferred()
        assert self.transport is not None
        self.transport.writeToChild(TO_BROWSER, json.dumps(message).encode() + b"\0")
        return await self._answers[self._last]

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it resolves to."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise DevToolsError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait for an expression to be true; the test's own timeout ends that."""
        while not (value := await self.evaluate(script)):
            await deferLater(self._reactor, LOOK_SECONDS)
        return value

    async def go(self, url: str) -> None:
        """Open a URL in the tab. Raises DevToolsError where that fails."""
        answer = await self.send("Page.navigate", url=url)
        if "errorText" in answer:
            raise DevToolsError(f"{url}: {answer['errorText']}")
        await self.until("document.readyState === 'complete'")

    async def press(self, key: str) -> None:
        """A key, pressed and let go."""
        text = {"text": "\r"} if key == "Enter" else {}
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("keyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text
            )

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """The size of the window in CSS pixels."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    async def prefer(self, **features: str) -> None:
        """What the user prefers: `color_scheme`, `reduced_motion`."""
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        await self.send("Emulation.setEmulatedMedia", features=named)

    async def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(b64decode(shot["data"]))

    def happened(self, method: str, pick: Callable[[dict[str, Any]], Any]) -> list[Any]:
        """What `pick` makes of each event of a kind so far."""
        return [pick(event["params"]) for event in self.events if event["method"] == method]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != FROM_BROWSER:
            return
        *messages, self._unread = (self._unread + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" not in message:
                self.events.append(message)
                continue
            waiting = self._answers.pop(message["id"])
            if "error" in message:
                waiting.errback(DevToolsError(message["error"]["message"]))
            else:
                waiting.callback(message["result"])
