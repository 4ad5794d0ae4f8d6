"""What the way out costs: 100 MB and fifty small answers from a server with TLS, through the proxy and without it.

python -m bench.network          measures, prints, and keeps bench/network.json

Server, client and proxy are processes of this machine; the client inside is in a real sandbox. What is told is the ratio
to the same client without a sandbox, and the processor time of the proxy, which runs in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nightmill.sandbox import Command, Limits, Place, Workspace
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.network.authority import Authority
from nightmill.sandbox.network.credential import Credential
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import give, owner
from nightmill.sandbox.profile import bundle

RESULTS = Path(__file__).with_name("network.json")
HOST, SIZE, TIMES, SMALL = "host.example", 100_000_000, 5, 50
PIECE = b"\xa5" * (1 << 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way from the client to the server."""

    name: str
    inspect: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()


WAYS = (
    Way(name="tunnel"),
    Way(name="opened TLS", inspect=(HOST,)),
    Way(name="opened TLS, with a credential and its redaction", credentials=("own",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the proxy.")
    parser.add_argument("--serve", type=Path, help="be the server; certificate and port go into this folder")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as port:
        os.chmod(name, 0o755)  # noqa: PTH101 - a name is what there is
        found = asyncio.run(measured(Path(name), port))
    machine = {
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    RESULTS.write_text(json.dumps({"machine": machine, "times": TIMES, "bytes": SIZE, "ways": found}, indent=1) + "\n")
    for way, row in found.items():
        print(f"{way:50} " + "  ".join(f"{key} {value:.3g}" for key, value in row.items()))


async def measured(folder: Path, port: int) -> dict[str, dict[str, float]]:
    """Every way, and the direct one before each, so that both see the same machine."""
    file = folder / "authority.pem"
    own = Credential(name="own", host=HOST, port=port, projects=("*",), secret="a-secret-of-nobody")
    network = Network(
        private=frozenset({HOST}), lookup=loopback, ports=frozenset({port}), authorities=file, credentials=(own,)
    )
    found = {}
    for number, way in enumerate(WAYS):
        directory = folder / f"run-{number}"
        directory.mkdir()
        give(directory, owner())
        place = Place(directory=directory, layers=(), hosts=(HOST,), inspect=way.inspect, credentials=way.credentials)
        sandbox = await BubblewrapSandboxes(network=network).open(place)
        try:
            found[way.name] = await compared(sandbox, port, folder / "bundle.pem")  # as many certificates as inside
        finally:
            await sandbox.close()
    return found


async def compared(sandbox: Workspace, port: int, trusted: Path) -> dict[str, float]:
    """Medians of one way, and how often longer than the direct one it takes."""
    large, small = f"https://{HOST}:{port}/large", f"https://{HOST}:{port}/small/[1-{SMALL}]"
    rows: dict[str, list[float]] = {
        "direct s": [],
        "s": [],
        "proxy CPU s": [],
        "direct small ms": [],
        "direct small ms, a connection each": [],
        "small ms": [],
    }
    for _ in range(TIMES):
        rows["direct s"].append(await direct(large, port, trusted))
        before = time.process_time()
        rows["s"].append(await inside(sandbox, large))
        rows["proxy CPU s"].append(time.process_time() - before)
        rows["direct small ms"].append(await direct(small, port, trusted) / SMALL * 1000)
        each = await direct(small, port, trusted, "-H", "Connection: close")
        rows["direct small ms, a connection each"].append(each / SMALL * 1000)
        rows["small ms"].append(await inside(sandbox, small) / SMALL * 1000)
    medians = {name: statistics.median(values) for name, values in rows.items()}
    medians["times direct"] = medians["s"] / medians["direct s"]
    medians["MB/s"] = SIZE / 1e6 / medians["s"]
    return {name: round(value, 4) for name, value in medians.items()}


async def direct(url: str, port: int, trusted: Path, *more: str) -> float:
    """Seconds of curl on the host."""
    began = time.monotonic()
    words = ("-sSf", "-o", "/dev/null", "--cacert", str(trusted), "--resolve", f"{HOST}:{port}:127.0.0.1", *more, url)
    process = await asyncio.create_subprocess_exec("curl", *words)
    assert await process.wait() == 0
    return time.monotonic() - began


async def inside(sandbox: Workspace, url: str) -> float:
    """Seconds of curl in the sandbox."""
    began = time.monotonic()
    ran = await sandbox.run(
        Command(argv=("curl", "-sSf", "-o", "/dev/null", url), cwd="/work", limits=Limits(seconds=120.0))
    )
    assert ran.exit == 0, ran.text
    return time.monotonic() - began


async def loopback(_host: str, _port: int) -> list[str]:
    """Where every name is here."""
    return ["127.0.0.1"]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[int]:
    """The server, as a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.network", "--serve", str(folder)])
    try:
        while not (folder / "port").exists():
            assert process.poll() is None
            time.sleep(0.02)
        yield int((folder / "port").read_text())
    finally:
        process.terminate()
        process.wait()


def serve(folder: Path) -> None:
    """Answer for ever."""
    authority = Authority(now=time.time)
    (folder / "authority.pem").write_bytes(authority.certificate)
    (folder / "bundle.pem").write_bytes(bundle(authority.certificate))
    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context: ssl.SSLContext = authority.context(HOST)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    (folder / "port.new").write_text(str(made.server_port))
    (folder / "port.new").rename(folder / "port")
    made.serve_forever()


class Answers(BaseHTTPRequestHandler):
    """A large answer, or a small one."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # else each small answer is two packets, and the second waits for 40 ms
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer by the size that the path names."""
        size = SIZE if self.path == "/large" else 100
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        while size > 0:
            self.wfile.write(PIECE[:size])
            size -= len(PIECE)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


if __name__ == "__main__":
    main()
