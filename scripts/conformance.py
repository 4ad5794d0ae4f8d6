"""Have the conformance suite of the Model Context Protocol try a server of ours, and compare what it found with what is known.

`make conformance` fetches the suite, and the Node that it needs, from npm. It tries every scenario, also of what nightmill does not
offer and of the suite's own example server: `conformance.toml` has each check, whether it passes, and if not why it does not
apply. What differs from that, for worse or for better, is told, and the exit status says so.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nightmill import event as e
from nightmill.access import ACTS, Grant
from nightmill.desk.door import Door
from nightmill.settings import load
from nightmill.store.keys import Keys
from nightmill.store.people import People

SUITE, NODE = "@modelcontextprotocol/conformance@0.2.0-alpha.12", "22"
AT = re.compile(r"nightmill is at http://127\.0\.0\.1:(\d+);")
HOUR = 3600.0

KNOWN = Path(__file__).with_suffix(".toml")
STAMP = re.compile(r"^server-|-\d{4}-\d\d-\d\dT[\d-]+Z$")
WORST = ("FAILURE", "WARNING", "SKIPPED", "SUCCESS")
"""What a check can come to; a remark (INFO) is none."""


def main() -> int:
    """Try it; the exit status."""
    with tempfile.TemporaryDirectory(prefix="nightmill-conformance-") as folder:
        place = Path(folder)
        node = f"node-{sys.platform}-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"
        wanted = [f"{node}@{NODE}", SUITE]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *wanted], cwd=place, check=True)
        modules = place / "node_modules"
        with served(place / "home") as (port, token), forwarding(port, token) as url:
            suite = [str(modules / node / "bin/node"), str(modules / ".bin/conformance"), "server", "--suite", "all"]
            subprocess.run(
                [*suite, "--url", url, "-o", str(place / "out")], cwd=place, check=False, stdout=subprocess.DEVNULL
            )
        return told(place / "out")


def found(folder: Path) -> dict[str, tuple[str, str]]:
    """What each check in *folder* came to, and what was said of it, by "scenario/check"; of one that was made twice, the worse."""
    seen: dict[str, tuple[str, str]] = {}
    for file in sorted(folder.rglob("checks.json")):
        for check in json.loads(file.read_text(encoding="utf-8")):
            name = f"{STAMP.sub('', file.parent.name)}/{check['id']}"
            if check["status"] in WORST:
                now = (check["status"], " ".join(str(check.get("errorMessage") or "").split())[:300])
                seen[name] = min(seen.get(name, now), now, key=lambda each: WORST.index(each[0]))
    return seen


def compared(seen: Mapping[str, tuple[str, str]], known: Mapping[str, Any]) -> list[str]:
    """In what *seen* differs from what is *known*."""
    absent = {name: why for why, names in known["absent"].items() for name in names}
    passes = set(known["passes"])
    worse = [f"{name}: it was not tried" for name in sorted((passes | set(absent)) - set(seen))]
    for name, (status, said) in sorted(seen.items()):
        if status == "SUCCESS":
            worse += [] if name in passes else [f"{name}: it passes now: name it so in {KNOWN.name}"]
        elif name not in absent:
            worse.append(f"{name}: {status.lower()}: {said}")
    return worse


def told(folder: Path) -> int:
    """Say what the checks in *folder* came to; the exit status."""
    known, seen = tomllib.loads(KNOWN.read_text(encoding="utf-8")), found(folder)
    passed = sorted(name for name, (status, _) in seen.items() if status == "SUCCESS")
    print(f"pass: {len(passed)}", *passed, sep="\n  ")
    for why, names in known["absent"].items():
        print(f"do not apply: {len(names)}: {why}", *names, sep="\n  ")
    worse = compared(seen, known)
    print(f"differ from what is known: {len(worse)}", *worse, sep="\n  ")
    return 1 if worse else 0


@contextmanager
def served(home: Path) -> Iterator[tuple[int, str]]:
    """(the port of a server with one run in its store, a token for it)."""
    door = Door(replace(load(file={}, environment={}, flags={}), home=home))
    people = People(door.database, time.time)
    root = "Root <root@example.org>"
    secret = people.invite("ada@example.org", grants=[Grant(role="admin")], by=root)
    owner = people.redeem(secret, name="Ada", password="")
    assert owner is not None
    token = Keys(door.database, time.time, known=people.known).make("suite", owner=owner, scopes=ACTS, seconds=HOUR)
    queued = e.RunQueued(run="rmnbvcxz", kind="task", title="Mend the cart", project="shop", spec="s", model="m")
    door.runs.create(queued, assignment="a")
    door.database.close()
    command = [sys.executable, "-m", "nightmill.cli", "serve", "--port", "0", "--workers", "0"]
    environment = {**os.environ, "NIGHTMILL_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield next(int(found[1]) for line in process.stderr if (found := AT.search(line))), token
        finally:
            process.terminate()


@contextmanager
def forwarding(port: int, token: str) -> Iterator[str]:
    """An address at which the server is found by a client that cannot send *token*; it is added on the way."""

    class Forward(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value.replace(f":{own}", f":{port}") for name, value in self.headers.items()}
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            line.request(self.command, self.path, body, {**headers, "Authorization": f"Bearer {token}"})
            answer = line.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):  # of an answer that lasts, whoever has heard enough hangs up
                while piece := answer.read1():
                    self.wfile.write(piece)
                    self.wfile.flush()
            line.close()

        do_GET = do_DELETE = do_POST  # noqa: N815 - as the library calls them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    own = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{own}/mcp"
    server.shutdown()


if __name__ == "__main__":
    raise SystemExit(main())
