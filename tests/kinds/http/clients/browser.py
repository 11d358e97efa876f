#!/usr/bin/env python3
"""A browser, headless Chromium, through the gateway over HTTP/2: a page with what belongs to it, hundreds of fetches with handovers
under them, uploads, and a WebSocket that is asked to go. Run by `./dev clients`. Usage: browser.py BINARY [SCREENSHOT]"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from with_websockets import started_pair
from world import BIG, Site, wait_until, while_runs

PATIENCE_S = 120
FETCHES = 400
HANDOVERS = 5
BROWSERS = ("chromium-headless-shell", "chromium")
PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>A page</title>
<link rel="stylesheet" href="/style.css"><script>const live = "LIVE";</script></head>
<body><h1>Through the gateway</h1><p id="said">working</p><img src="/picture.svg" width="120" height="60" alt="">
<script src="/script.js"></script></body></html>
"""
STYLE = "body { font: 20px sans-serif; background: rgb(230, 245, 230); } h1 { color: rgb(0, 90, 0); }"
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60"><rect width="120" height="60" fill="teal"/>
<circle cx="60" cy="30" r="25" fill="gold"/></svg>"""
SCRIPT = """
const told = { failed: [], servers: {} };
const tell = () => fetch("/told", { method: "POST", body: JSON.stringify(told) });

async function one(i) {
  try {
    const big = i % 20 === 0;
    const upload = i % 5 === 0 ? { method: "POST", body: "u".repeat(50_000) } : {};
    const answer = await fetch(big ? "/big" : "/n/" + i, big ? {} : upload);
    const text = await answer.arrayBuffer();
    const wanted = big ? BIG : upload.body ? 50_000 : 100;
    if (answer.status !== 200 || text.byteLength !== wanted) throw new Error(answer.status + ", " + text.byteLength + " bytes");
    const server = answer.headers.get("X-Server");
    told.servers[server] = (told.servers[server] || 0) + 1;
  } catch (error) {
    told.failed.push(i + ": " + error);
  }
}

async function fetches() {
  let next = 0;
  const worker = async () => { while (next < COUNT) await one(next++); };
  await Promise.all([...Array(12)].map(worker));
}

// Opens it, hears who serves, and waits to be asked to go.
const tunnel = () => new Promise((resolve) => {
  const socket = new WebSocket(live);
  const heard = [];
  socket.onopen = () => socket.send("who");
  socket.onmessage = (event) => heard.push(event.data);
  socket.onclose = (event) => resolve({ heard, code: event.code, clean: event.wasClean });
});

window.addEventListener("load", async () => {
  const socket = tunnel();
  await fetches();
  told.entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((entry) => !entry.name.includes("/n/"))
    .map((entry) => ({ path: new URL(entry.name).pathname, protocol: entry.nextHopProtocol, bytes: entry.decodedBodySize }));
  told.style = getComputedStyle(document.querySelector("h1")).color;
  told.picture = document.querySelector("img").naturalWidth;
  document.getElementById("said").textContent = COUNT - told.failed.length + " of " + COUNT + " fetches, " + told.failed.length + " failed";
  await fetch("/told", { method: "POST", body: JSON.stringify({ fetched: true }) });
  told.socket = await socket;
  told.again = await new Promise((resolve) => {
    const again = new WebSocket(live);
    again.onopen = () => again.send("who");
    again.onmessage = (event) => { resolve(event.data); again.close(); };
    again.onerror = () => resolve("an error");
  });
  await tell();
});
"""


def find_browser():
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    sys.exit("no Chromium: `./dev clients` installs chromium-headless-shell")


def argv_of(browser, directory, pin, *words):
    return [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--no-proxy-server", f"--user-data-dir={directory}/profile",
            # Ours is nobody's authority; it is told by its key.
            f"--ignore-certificate-errors-spki-list={pin}", *words]


def told_by(site):
    return [json.loads(body) for service in site.services["secure"] for body in list(service.told)]


def visit(browser, site, directory):
    """What the page told, with handovers of the site under its fetches and one of its WebSocket's service after them."""
    log = (directory / "browser.log").open("w")
    process = subprocess.Popen(argv_of(browser, directory, site.certificate.pin, "--remote-debugging-port=0",
                                       site.gateway.url("secure", "/page")), stdout=log, stderr=log)

    def wait_for(condition, what):
        wait_until(while_runs(process, condition), PATIENCE_S, what, every=0.005)

    try:
        wait_for(lambda: site.served("secure") > 5, "the page's own requests")
        for _ in range(HANDOVERS):
            enough = site.served("secure") + FETCHES // (HANDOVERS + 2)
            wait_for(lambda: site.served("secure") >= enough, "fetches between handovers")
            site.gateway.hand_over("secure")
        wait_for(lambda: any("fetched" in told for told in told_by(site)), "all fetches")
        site.gateway.hand_over("secure-live")
        wait_for(lambda: any("socket" in told for told in told_by(site)), "the WebSocket's end")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()
    return next(told for told in told_by(site) if "socket" in told)


def check(told, site):
    assert told["failed"] == [], told["failed"][:5]
    assert sum(told["servers"].values()) == FETCHES and len(told["servers"]) == 2, told["servers"]
    for path in ("/page", "/style.css", "/script.js", "/picture.svg"):
        found = [entry for entry in told["entries"] if entry["path"] == path]
        assert found and all(entry["protocol"] == "h2" and entry["bytes"] > 0 for entry in found), (path, told["entries"])
    assert {entry["protocol"] for entry in told["entries"]} == {"h2"}, told["entries"]
    assert told["style"] == "rgb(0, 90, 0)" and told["picture"] == 120, told
    new, old = (side[0] for side in site.gateway.sides["secure-live"])
    assert told["socket"] == {"heard": [old], "code": 1012, "clean": True} and told["again"] == new, told


def pages(live, big):
    script = SCRIPT.replace("COUNT", str(FETCHES)).replace("BIG", str(big))
    return {"/page": (PAGE.replace("LIVE", live).encode(), "text/html"), "/style.css": (STYLE.encode(), "text/css"),
            "/script.js": (script.encode(), "text/javascript"), "/picture.svg": (PICTURE.encode(), "image/svg+xml")}


def main(binary, screenshot=None):
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="fs-browser-") as name, contextlib.ExitStack() as ends:
        directory = pathlib.Path(name)
        contents = {}
        site = Site(pathlib.Path(binary).resolve(), directory, contents, {"secure-live": started_pair("live", ends)})
        ends.callback(site.end)
        contents.update(pages(site.gateway.url("secure-live", "/talk").replace("https", "wss"), len(BIG)))
        began = time.monotonic()
        told = visit(browser, site, directory)
        check(told, site)
        print(f"passed  {pathlib.Path(browser).name}: {FETCHES} fetches over {told['entries'][0]['protocol']}, {HANDOVERS} handovers, 0 failed, "
              f"each side's share {told['servers']}; its WebSocket was asked to go with {told['socket']['code']}  "
              f"{time.monotonic() - began:.1f} s")
        if screenshot:
            subprocess.run(argv_of(browser, directory, site.certificate.pin, f"--screenshot={pathlib.Path(screenshot).absolute()}",
                                   "--window-size=600,300", "--virtual-time-budget=10000", site.gateway.url("secure", "/page")),
                           check=True, capture_output=True, timeout=PATIENCE_S)
            print(f"screenshot  {screenshot}")


if __name__ == "__main__":
    main(*sys.argv[1:])
