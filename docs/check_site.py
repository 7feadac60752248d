"""Looks at the built site: its links, and in Chromium search, navigation, pictures and the width on a phone.

`make docs` first. Needs selenium, and `chromium` and `chromedriver` on the path (Debian: chromium, chromium-driver).
"""

import shutil
import sys
import tempfile
import time
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parent / "_build" / "html"
PAGES = (
    "index.html",
    "gallery/tutorial/plot_ten_minutes.html",
    "guide.html",
    "howto.html",
    "paper.html",
    "comparison.html",
    "choose.html",
    "inspect.html",
    "api.html",
    "generated/skmae.LinearMAE.html",
    "generated/skmae.ViTMAE.html",
    "gallery/index.html",
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT = 20  # seconds


class Page(HTMLParser):
    """Anchors of a page, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.fetched = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if found.get("class") == "viewcode-back":
            return  # by one module for all that a file defines, so that some lead nowhere: sphinx.ext.viewcode
        if tag == "a" or (tag == "link" and found.get("rel") in ("next", "prev", "search", "index")):
            self.links.append(found.get("href") or "")
        else:  # what a browser loads by itself
            self.fetched += [found[key] for key in ("src", "href") if found.get(key)]


def broken_links(site):
    """Links within the site that lead nowhere, and whatever pages load from elsewhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    for path, page in pages.items():
        for link in page.links + page.fetched:
            where = urlsplit(link)
            if where.scheme in ("http", "https") or where.netloc:
                if link in page.fetched:
                    yield f"{path.relative_to(site)} loads {link}"
                continue
            if where.scheme:
                continue
            target = (path.parent / unquote(where.path)).resolve() if where.path else path
            if not target.exists():
                yield f"{path.relative_to(site)}: {link} leads to no file"
            elif target in pages and where.fragment and unquote(where.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {link} leads to no anchor"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def start_browser(profile):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def set_size(browser, width, height=900):
    """The size of the page; that of a window has a minimum."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait_for(condition):
    end = time.monotonic() + WAIT
    while not (found := condition()):
        if time.monotonic() > end:
            return None
        time.sleep(0.1)
    return found


def faults_of(browser, home, site):
    from selenium.webdriver.common.by import By

    def linked(selector):
        return [link.get_attribute("href") or "" for link in browser.find_elements(By.CSS_SELECTOR, selector)]

    set_size(browser, 1280)
    browser.get(f"{home}search.html?q=LinearMAE")
    if not wait_for(lambda: any("skmae.LinearMAE.html" in link for link in linked("#search-results a"))):
        yield "search for LinearMAE does not find its page"

    browser.get(f"{home}index.html")
    menu = [link for link in browser.find_elements(By.CSS_SELECTOR, ".bd-header a.nav-link") if link.is_displayed()]
    for end in ("api.html", "gallery/index.html"):
        if not any((link.get_attribute("href") or "").endswith(end) for link in menu):
            yield f"the navigation bar does not show {end}"
    browser.get(f"{home}api.html")
    browser.find_element(By.CSS_SELECTOR, ".bd-article a[href*='skmae.LinearMAE.html']").click()
    if not wait_for(lambda: "skmae.LinearMAE.html" in browser.current_url):
        yield "the API page does not lead to LinearMAE"
    browser.get(f"{home}gallery/index.html")
    browser.find_element(By.CSS_SELECTOR, ".sphx-glr-thumbcontainer a").click()
    if not wait_for(lambda: "/gallery/" in browser.current_url and "/plot_" in browser.current_url):
        yield "the gallery does not lead to an example"

    examples = [str(path.relative_to(site)) for path in sorted((site / "gallery").glob("*/plot_*.html"))]
    for page in (*PAGES, *examples):
        for width in (1280, 390):
            set_size(browser, width)
            browser.get(home + page)
            browser.execute_script("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
            loaded = "return [...document.images].every(image => image.complete)"
            if not wait_for(partial(browser.execute_script, loaded)):
                yield f"{page}: pictures do not load"
            empty = "return [...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
            for source in browser.execute_script(empty):
                yield f"{page}: no picture at {source}"
            over = "const box = document.querySelector(arguments[0]); return box.scrollWidth - box.clientWidth"
            for part in ("html", ".bd-article-container"):
                if (pixels := browser.execute_script(over, part)) > 0:
                    yield f"{page}: {part} is {pixels} pixels wider than a screen of {width} has room for"
    for entry in browser.get_log("browser"):
        yield f"browser: {entry['message']}"


def main():
    if not (SITE / "index.html").exists():
        sys.exit(f"{SITE} has no site: run make docs first.")
    faults = list(broken_links(SITE))
    print(f"links: {len(faults)} faults")
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        print(*faults, sep="\n")
        sys.exit(f"Not looked at in a browser: {' and '.join(missing)} not found (Debian: chromium, chromium-driver).")
    server = ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = start_browser(profile)
        try:
            seen = list(faults_of(browser, f"http://localhost:{server.server_port}/", SITE))
        finally:
            browser.quit()
    print(f"browser: {len(seen)} faults")
    print(*faults, *seen, sep="\n")
    sys.exit(bool(faults + seen))


if __name__ == "__main__":
    main()
