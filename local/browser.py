"""The browser that drives the administrator's page: the system's Chromium where there is one, else Playwright's own."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@asynccontextmanager
async def headless() -> AsyncIterator[Browser]:
    """A headless browser while the context is open."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root, as whom containers run.
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()
