"""Every page with what nobody sends in its fields: it is taken or refused, and is never a fault of the server.

As often as `NIGHTMILL_EXAMPLES` says for each, from a seed: a few times among all tests, and many times by `make fuzz`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from nightmill.server import pages
from nightmill.server.guard import Guarded
from tests.server.conftest import TREE, House, role
from tests.server.test_contract import EXAMPLES, RUNS, SEED, opened

pytestmark = pytest.mark.slow

ROUTES: list[Guarded] = [each for each in pages.routes() if isinstance(each, Guarded)]
KINDS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json",
    "",
)
STRANGE = (
    b"", b"\0", b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b"%", b"%zz", b"\r\nX-Y: z", b"\x1b[2J", "\u202e\u200b".encode(),
    b"9" * 5_000, b"-1", b"0", b"1", b"2147483648", b"9007199254740993", b"1e999", b"NaN", b"-0", b"0x10", "\u0663\u00b2".encode(),
    b"<script>alert(1)</script>", b"{{7*7}}", b"' OR 1=1 --", b"../../../etc/passwd", b"/", b"//[", b"http://[::1", b"[", b"{",
    b"a" * 50_000, "\u00e9".encode() * 300, b"2026-13-45T99:99", b"0000-00-00", b"9999-12-31T23:59", b"+275760-09-13",
    b"true", b"null", b"yes", b"developer/1", b"1/1", b"work/", b".", b"..", b"HEAD", b"a@example.org", b"admin", b"view",
)  # fmt: skip


def known() -> tuple[bytes, ...]:
    """What there is."""
    run = RUNS[0].encode()
    return (run, b"shop", b"barn", TREE.encode(), run + b"/look/approve", run + b"/look/answer", b"root@example.org")


class Fuzz:
    """Requests to pages, drawn from a seed."""

    def __init__(self, seed: str) -> None:
        self.draw = random.Random(seed)

    def value(self) -> bytes:
        """A value of a field."""
        if self.draw.random() < 0.1:
            return self.draw.randbytes(self.draw.randrange(200))
        return self.draw.choice(known() if self.draw.random() < 0.4 else STRANGE)

    def fields(self, names: list[str]) -> bytes:
        """A query or a form: fields of these *names* and others, some more than once, some not well written."""
        chosen = [name for name in names if self.draw.random() < 0.8]
        chosen += self.draw.choices([*names, "other", "a[b]", ""], k=self.draw.randrange(3))
        pairs = []
        for name in chosen:
            value = self.value()
            written = value if self.draw.random() < 0.1 else quote(value, safe="").encode()
            pairs.append(quote(name).encode() + self.draw.choice([b"=", b"=", b"=", b""]) + written)
        return b"&".join(pairs)

    def path(self, route: Guarded) -> str:
        """A path of *route*."""
        there = {"run": RUNS[0], "other": RUNS[1], "project": "shop", "number": "1", "name": "developer"}

        def part(found: re.Match[str]) -> str:
            odd = quote(self.value()[:300], safe="") or "x"
            return odd if self.draw.random() < 0.3 else there.get(found[1], "none")

        return re.sub(r"\{(\w+)(?::\w+)?\}", part, route.path)

    def request(self, route: Guarded, method: str, url: str) -> httpx2.Request:
        """One request."""
        query = self.fields([each.alias for each in route.dependant.query_params])
        target = url + self.path(route) + ("?" + quote(query, safe="=&%+") if query else "")
        kind = KINDS[0] if self.draw.random() < 0.7 else self.draw.choice(KINDS)
        body = self.fields([each.alias for each in route.dependant.body_params]) if method == "POST" else b""
        if kind.startswith("multipart") and self.draw.random() < 0.5:
            body = b'--x\r\nContent-Disposition: form-data; name="text"; filename="a"\r\n\r\n' + body + b"\r\n--x--\r\n"
        accept = self.draw.choice(["text/html", "*/*", "text/html;q=\xff", ""])
        headers = [(b"Accept", accept.encode("latin-1")), (b"Content-Type", kind.encode())]
        return httpx2.Request(method, target, headers=headers, content=body)


def asked(house: House, seed: str) -> Iterator[tuple[Guarded, httpx2.Request, int]]:
    """What each page was asked, and with which status it answered."""
    fuzz, token = Fuzz(seed), ""
    with httpx2.Client(headers={"Origin": house.url}, timeout=60) as client:
        for route in ROUTES:
            for method in sorted(route.methods or ()):
                for _ in range(max(3, EXAMPLES)):
                    if house.site.keys.shows(token, "session") is None:
                        token = admin(house)
                    request = fuzz.request(route, method, house.url)
                    request.headers.update({"Origin": house.url, "Cookie": f"{house.site.cookie}={token}"})
                    yield route, request, client.send(request).status_code


def admin(house: House) -> str:
    """A session of somebody who may do everything, whoever was shut out meanwhile."""
    house.let_in("root@example.org", role("admin"), role("approver"), role("operator"))
    return house.site.keys.begin("root@example.org")


def test_no_page_breaks_whatever_is_in_its_fields(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        found = [*asked(house, SEED)]

    assert [(each.method, each.url, each.content) for _, each, status in found if status >= 500] == []
    statuses = {status for _, _, status in found}
    assert {200, 303, 404, 422} <= statuses, "it got through as well as was refused"
    assert len(found) >= 3 * len(ROUTES)
