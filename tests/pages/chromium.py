"""A headless Chromium that tests drive: with keys and clicks, as a person would."""

from __future__ import annotations

import shutil
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.harness import CHECKOUT

SCREENSHOTS = CHECKOUT / "build" / "screenshots"
AXE = CHECKOUT / ".node" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--force-prefers-reduced-motion", "--hide-scrollbars",
)  # fmt: skip
WAIT_S = 20.0
PHONE = (390, 844)
DESKTOP = (1280, 800)

_OFFENCES = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
    found => done(found.violations.filter(each => ['serious', 'critical'].includes(each.impact))
        .map(each => each.id + ': ' + each.nodes.map(node => node.html).join(' | '))),
    error => done(['axe failed: ' + error]));
"""
# What reaches beyond the right edge, but for what scrolls inside a box of its own.
_TOO_WIDE = """
const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')].filter(each => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && box.right > wide + 1 && !each.closest('.table, .wide, .unseen, .plot');
}).map(each => each.outerHTML.slice(0, 120))
    .concat(document.documentElement.scrollWidth > wide ? ['the page itself'] : []);
"""


class Chromium:
    """One browser with a profile of its own, at one server."""

    def __init__(self, driver: webdriver.Chrome, root: str, downloads: Path) -> None:
        self.driver = driver
        self.root = root
        self.downloads = downloads

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def prefer_dark(self, dark: bool) -> None:
        scheme = "dark" if dark else "light"
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def forget(self) -> None:
        """Have no cookies."""
        self.driver.delete_all_cookies()

    def open(self, path: str) -> None:
        self.driver.get(self.root + path)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def link(self, text: str) -> WebElement:
        return self.driver.find_element(By.PARTIAL_LINK_TEXT, text)

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def leave_by(self, element: WebElement) -> None:
        """Click what leads to another page, and wait for that page."""
        before = self.find("html")
        element.click()
        self.wait_for_another(before)

    def wait_for_another(self, before: WebElement) -> None:
        wait = WebDriverWait(self.driver, WAIT_S)
        wait.until(lambda driver: driver.find_element(By.CSS_SELECTOR, "html") != before)
        wait.until(lambda driver: driver.execute_script("return document.readyState") == "complete")

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def submit_by(self, *keys: str) -> None:
        """Press keys, the last of which leads to another page."""
        before = self.find("html")
        self.press(*keys)
        self.wait_for_another(before)

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    @property
    def hits(self) -> int:
        return int(self.text("#results").partition(" ")[0].replace(",", ""))

    def downloaded(self, name: str) -> bytes:
        """The content of a downloaded file, once it is whole."""
        path = self.downloads / name
        WebDriverWait(self.driver, WAIT_S).until(lambda _: path.exists())
        return path.read_bytes()

    def too_wide(self) -> list[str]:
        found: list[str] = self.driver.execute_script(_TOO_WIDE)
        return found

    def offences(self) -> list[str]:
        """What axe-core finds serious or worse on the page."""
        self.driver.execute_script(AXE.read_text("utf-8"))
        found: list[str] = self.driver.execute_async_script(_OFFENCES)
        return found

    def sign_in(self, account: str, path: str = "/", password: str | None = None) -> None:
        """Be signed in with the account, whose password is its name if not said, and at `path`."""
        self.forget()
        self.open(f"/-/sign-in?{urlencode({'next': path})}")
        self.find("#account").send_keys(account)
        self.find("#password").send_keys(account if password is None else password)
        self.leave_by(self.find(".sign-in button"))

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for what a script of the page does; failing to come is a failure."""
        WebDriverWait(self.driver, WAIT_S).until(lambda _: condition())

    def screenshot(self, name: str) -> Path:
        """A picture of the whole page, in SCREENSHOTS, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        taken = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True}
        )
        path = SCREENSHOTS / f"{name}.png"
        path.write_bytes(b64decode(taken["data"]))
        return path

    def check_page(
        self,
        path: str,
        signed_in_as: str = "",
        *,
        name: str = "",
        ready: Callable[[], object] | None = None,
    ) -> None:
        """A page as it must be: it fits a phone and a desk, offends nobody, breaks no policy.

        Signs in first where `signed_in_as` names an account whose password is its
        name; "" goes on as whoever is signed in. `ready` says when scripts have
        done their part. Screenshots are `name` (the path by default), width and language.
        """
        if signed_in_as:
            self.sign_in(signed_in_as, path)
        for size in (DESKTOP, PHONE):
            self.resize(size)
            self.open(path)
            if ready is not None:
                self.wait_until(ready)
            language = str(self.find("html").get_attribute("lang"))[:2]
            shown = name or path.partition("?")[0].strip("/-").replace("/", "-") or "start"
            self.screenshot(f"{shown}-{size[0]}-{language}")
            assert self.too_wide() == [], (path, size)
            assert self.offences() == [], (path, size)
            assert self.complaints() == [], (path, size)
        self.resize(DESKTOP)

    def complaints(self) -> list[Any]:
        """What the browser's console says, such as of a broken security policy."""
        return [
            each
            for each in self.driver.get_log("browser")
            if "status of 4" not in each["message"]  # the answer that a test asked for
        ]


@contextmanager
def chromium(root: str) -> Iterator[Chromium]:
    """Start a browser; missing is a failure, never a skip."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs or not AXE.exists():
        pytest.fail("Chromium, its driver or axe-core is not installed: run `make test-tools`")
    with tempfile.TemporaryDirectory() as profile, tempfile.TemporaryDirectory() as downloads:
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs[0])
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.add_experimental_option(
            "prefs", {"intl.accept_languages": "en", "download.default_directory": downloads}
        )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
        try:
            driver.set_script_timeout(WAIT_S)
            driver.set_page_load_timeout(WAIT_S)
            yield Chromium(driver, root, Path(downloads))
        finally:
            driver.quit()
