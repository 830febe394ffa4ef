"""Chromium without a window and without a network, and what it says about a page.

It reaches 127.0.0.1 and files, nothing else: a page that wants anything from elsewhere shows here.
"""

import contextlib
import functools
import http.server
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
GRAPHICS = re.compile(r"GL Driver Message|Canvas2D: Multiple readback")  # a machine without a graphics card
SETTLED = """
const done = arguments[0];
const maths = window.MathJax?.startup?.promise ?? Promise.resolve();
const drawn = (figure) => figure.querySelector(".main-svg");
const plots = () => [...document.querySelectorAll(".plotly-graph-div")].every(drawn);
const images = () => [...document.images].every((e) => e.complete);
let left = 100;
const look = () => (plots() && images()) || !left-- ? done(left >= 0) : setTimeout(look, 50);
maths.then(look, look);
"""
FACTS = """
const count = (what) => document.querySelectorAll(what).length;
return {
  formulas: count("mjx-container"),
  formulas_wanted: count("span.math, div.math"),
  formulas_broken: [...document.querySelectorAll("[data-mjx-error]")].map((e) => e.dataset.mjxError),
  plots: count(".plotly-graph-div .main-svg") ? count(".plotly-graph-div:has(.main-svg)") : 0,
  plots_wanted: count(".plotly-graph-div"),
  broken_images: [...document.images].filter((e) => e.complete && !e.naturalWidth).map((e) => e.src),
  width: document.documentElement.scrollWidth,
};
"""


def find() -> tuple[str, str] | None:
    """The paths of Chromium and its driver, if both are installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    return (program, driver) if program and driver else None


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder as http://127.0.0.1:PORT/."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    class Patient(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:  # a browser that goes on before a file has come
            pass

    with Patient(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Visit:
    """What a page did when it was opened."""

    facts: dict[str, Any]
    settled: bool
    console: list[str]
    requests: list[str]


class Browser:
    """A driven Chromium, closed at the end of a ``with`` block."""

    def __enter__(self) -> "Browser":
        from selenium import webdriver

        found = find()
        if found is None:
            raise RuntimeError("Chromium and its driver are not installed")
        self.profile = tempfile.mkdtemp(prefix="mdepth-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = found[0]
        for argument in (*ARGUMENTS, f"--user-data-dir={self.profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
        self.driver.set_script_timeout(30)
        self.resize(1200)
        return self

    def __exit__(self, *error: object) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page this size, narrower than any window if need be."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme: str) -> None:
        """Let the page believe that the reader's system is ``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def script(self, text: str, *arguments: object) -> Any:
        """The result of a script in the page."""
        return self.driver.execute_script(text, *arguments)

    def visit(self, address: str) -> Visit:
        """Open a page, wait until formulas, figures and pictures stand, and say what happened."""
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(address)
        settled = self.driver.execute_async_script(SETTLED)
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        told = [entry for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]
        console = [f"{e['level']}: {e['message']}" for e in told if not GRAPHICS.search(e["message"])]
        return Visit(self.script(FACTS), bool(settled), console, sent)
