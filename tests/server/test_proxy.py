"""The server behind nginx, as the guide for operators has it: signing in, forms from elsewhere, and events without a wait."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from bench.stage import until
from nightmill.desk.door import Door
from nightmill.settings import load
from tests.server.conftest import House, frames, role

GUIDE = Path(__file__).parents[2] / "docs/guides/operate.md"
MAIN = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    {server}
}}
"""


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[House]:
    """A house that is found at an nginx with the guide's configuration, of which only names, files and ports are others."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not nginx or not shutil.which("openssl"):
        pytest.skip("nginx or openssl is not here")
    port = free()
    house = House(
        Door(load(file={}, environment={}, flags={"home": tmp_path / "home"})), origin=f"https://localhost:{port}"
    )
    house.start()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    ask = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    made = f"{ask} -keyout {key} -out {certificate}"
    subprocess.run([*made.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    found = re.search(r"```nginx\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    server = (
        found[1].replace("443", str(port)).replace("mill.example.org", "localhost").replace("8470", str(house.port))
    )
    server = server.replace("/etc/ssl/mill.pem", str(certificate)).replace("/etc/ssl/mill.key", str(key))
    path = tmp_path / "nginx.conf"
    user = "user root;" if tmp_path.owner() == "root" else ""
    path.write_text(MAIN.format(folder=tmp_path, server=server, user=user), encoding="utf-8")
    with subprocess.Popen([nginx, "-c", str(path)], stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: listens(port) or process.poll() is not None)
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            yield house
        finally:
            process.terminate()
            house.stop()
            house.door.ledger.close()
            house.door.database.close()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def client(house: House, **headers: str) -> httpx2.Client:
    return httpx2.Client(base_url=house.origin, verify=False, headers=headers, timeout=60)


def test_people_sign_in_through_it_and_forms_from_elsewhere_are_refused(proxied: House) -> None:
    proxied.let_in("ada@example.org", role("operator"))
    said = {"address": "ada@example.org", "password": "correct horse battery"}
    with client(proxied, Origin=proxied.origin) as browser:
        signed = browser.post("/sign-in", data=said)
        assert (signed.status_code, "Secure" in signed.headers["set-cookie"]) == (303, True)
        assert browser.get("/", headers={"Accept": "text/html"}).status_code == 200
        assert browser.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
        assert browser.get("/", headers={"Host": "evil.example"}).status_code == 421


def test_events_come_through_it_while_the_stream_is_open(proxied: House) -> None:
    proxied.run("rbefore")
    owner = proxied.let_in("ada@example.org", role("viewer"))
    token = proxied.site.keys.make("test", owner=owner, scopes=["view"], seconds=3600)
    with (
        client(proxied, Authorization=f"Bearer {token}") as program,
        program.stream("GET", "/api/v1/events", params={"after": 0}) as response,
    ):
        heard = frames(response)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert any(each["data"]["run"] == "rbefore" for each in heard)
        proxied.run("rlater")
        assert any(each["data"]["run"] == "rlater" for each in heard), "nothing was held back until more came"
