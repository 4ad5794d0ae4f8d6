"""Hosts that a project may reach: what the operator allows, and what the machine's own tools say."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nightmill.errors import SettingsError
from nightmill.estate.registry import check, resolve


@pytest.mark.parametrize("name", ["pypi", "npm", "crates", "go", "debian"])
def test_a_preset_needs_no_consent(name: str) -> None:
    check((name,), allow=())


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("api.example.com", ("api.example.com",)),
        ("API.example.com", ("*.example.com",)),
        ("*.example.com", ("*.example.com",)),
        ("*.a.example.com", ("*.example.com",)),
    ],
)
def test_a_host_that_the_operator_allows_may_be_asked_for(name: str, allow: tuple[str, ...]) -> None:
    check((name,), allow=allow)


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("api.example.com", ()),
        ("evil.example", ("example.com", "*.example.com")),
        ("*.example.com", ("api.example.com",)),
        ("example.com", ("*.example.com",)),
        ("*.com", ("*.example.com",)),
        ("169.254.169.254", ()),
    ],
)
def test_a_repository_does_not_choose_whom_it_talks_to(name: str, allow: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"no host|may not be reached") as caught:
        check(("pypi", name), allow=allow)

    assert "allow_hosts" in caught.value.hint or name == "*.com"


@pytest.mark.parametrize(
    "name", ["*", "*.com", "*.*.com", "a.*.com", "a b.com", "https://a.com", "a.com:443", "", "localhost"]
)
def test_what_is_no_host_is_refused_even_if_it_is_allowed(name: str) -> None:
    with pytest.raises(SettingsError, match="is no host and no preset"):
        check((name,), allow=(name,))


def crate() -> bytes:
    """A package that holds nothing."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for name, body in (("Cargo.toml", b'[package]\nname = "cfg-if"\nversion = "1.0.0"\n'), ("src/lib.rs", b"")):
            entry = tarfile.TarInfo(f"cfg-if-1.0.0/{name}")
            entry.size = len(body)
            file.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


def test_crates_come_from_where_the_operators_cargo_goes(tmp_path: Path) -> None:
    """The index is one host, the files are another: cargo says neither, so it is watched."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("this machine has no cargo")
    body = crate()
    entry = {"name": "cfg-if", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
    entry["cksum"] = hashlib.sha256(body).hexdigest()

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files = {
                "/index/config.json": json.dumps({"dl": f"http://localhost:{server.server_port}/dl"}).encode(),
                "/index/cf/g-/cfg-if": json.dumps(entry).encode() + b"\n",
                "/dl/cfg-if/1.0.0/download": body,
            }
            found = files.get(self.path, b"")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        replaced = '[source.crates-io]\nreplace-with = "own"\n[source.own]\n'
        (tmp_path / "config.toml").write_text(
            f'{replaced}registry = "sparse+http://127.0.0.1:{server.server_port}/index/"\n'
        )
        given = {"PATH": f"{Path(cargo).parent}:{os.defpath}", "CARGO_HOME": str(tmp_path)}
        home = {name: os.environ[name] for name in ("HOME", "RUSTUP_HOME") if name in os.environ}  # noqa: TID251 - rustup's
        found = asyncio.run(resolve(("crates",), environment={**given, **home}, allow=()))
        server.shutdown()

    assert found.hosts == ("127.0.0.1", "localhost")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml"]


def test_debian_comes_from_where_apt_goes() -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("this machine has no apt-get")

    found = asyncio.run(resolve(("debian",), environment={"PATH": os.defpath}, allow=()))

    assert all("." in host for host in found.hosts)
