"""Have the conformance suite of the Model Context Protocol try a server of ours, and say what it found.

`make conformance` fetches the suite, and the Node that it needs, from npm. It tries every scenario, also what nightmill does not
offer: those checks, and those that want a tool, a prompt or a resource of the suite's own example server, are counted
apart. Anything else that fails is a fault, and the exit status says so.
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
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from nightmill import event as e
from nightmill.access import ACTS, Grant
from nightmill.desk.door import Door
from nightmill.settings import load
from nightmill.store.keys import Keys
from nightmill.store.people import People

SUITE, NODE = "@modelcontextprotocol/conformance@0.2.0-alpha.12", "22"
AT = re.compile(r"nightmill is at http://127\.0\.0\.1:(\d+);")
HOUR = 3600.0

ABSENT = {
    "of the suite's example server": (
        "there is no tool",
        "there is no resource",
        "Not testable",
        "not found. Available tools",
    ),
    "of a method that is not offered": ("Method not found", "got -32601"),
    "of tasks, or of input in the middle of a call": ("tasks", "task", "InputRequiredResult", "-32021"),
}
"""Why a check cannot pass here, by what its failure says."""


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


def told(folder: Path) -> int:
    """Say what the checks in *folder* came to."""
    counts: Counter[str] = Counter()
    faults = []
    for file in sorted(folder.rglob("checks.json")):
        for check in json.loads(file.read_text(encoding="utf-8")):
            said = f"{file.parent.name} {check.get('errorMessage')} {check.get('details')}"
            if check["status"] == "FAILURE":
                why = next((name for name, signs in ABSENT.items() if any(each in said for each in signs)), "")
                counts[why or "faults"] += 1
                faults += [] if why else [f"{check['id']}: {said[:300]}"]
            else:
                counts[check["status"].lower()] += 1
    for name, count in counts.most_common():
        print(f"{count:5} {name}")
    print(*faults, sep="\n")
    return 0 if counts["success"] and not faults else 1


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
            said = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
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
