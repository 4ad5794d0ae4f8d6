"""Tokens that nobody has named are starred where a program prints them; hashes, digests, ids and code stay as they are."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from nightmill.store.lookalike import STARS, hide
from nightmill.store.redaction import Redaction

ROOT = Path(__file__).parents[2]
SIGNS = string.ascii_letters + string.digits
CHANCE = random.Random(7)  # the same tokens each time


def token(length: int, signs: str = SIGNS) -> str:
    """One that nobody made up."""
    return "".join(CHANCE.choice(signs) for _ in range(length))


def web(length: int) -> str:
    return base64.urlsafe_b64encode(CHANCE.randbytes(length)).decode()[:length]


def jwt() -> str:
    head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "Ada"})
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (head, body)]
    return ".".join([*parts, web(43)])


def pem() -> str:
    lines = "\n".join(base64.b64encode(CHANCE.randbytes(48)).decode() for _ in range(20))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


SECRET = {
    "GitHub": f"ghp_{token(36)}",
    "GitHub, fine": f"github_pat_{token(60)}",
    "GitLab": f"glpat-{token(20)}",
    "OpenAI": f"sk-proj-{web(60)}1",
    "Anthropic": f"sk-ant-api03-{web(90)}",
    "Stripe": f"sk_live_{token(24)}",
    "Slack": f"xoxb-{token(12, string.digits)}-{token(24)}",
    "AWS": f"AKIA{token(16, string.ascii_uppercase + '234567')}",
    "Google": f"AIza{web(35)}",
    "npm": f"npm_{token(36)}",
    "ours": f"nm_token_{web(43)}",
    "web token": jwt(),
}
TELLING = {
    "a variable": ("AWS_SECRET_ACCESS_KEY={}", token(40, SIGNS + "+/")),
    "hexadecimal": ("DJANGO_SECRET_KEY={}", CHANCE.randbytes(25).hex()),
    "JSON": ('{{"client_secret": "{}"}}', web(32)),
    "YAML": ("api_key: {}", token(20)),
    "an address": ("postgres://shop:{}@db.internal:5432/shop", f"{token(12)}4a9"),
    "a header": ("Authorization: Bearer {}", web(50)),
    "basic": ("authorization: Basic {}", base64.b64encode(f"ada:{token(18)}".encode()).decode()),
    "a private key": ("{}", pem()),
}


@pytest.mark.parametrize("known", SECRET.values(), ids=SECRET)
@pytest.mark.parametrize("around", ["{}", "found {}.", "\n{}\n", '"{}",', "x={}&y=1", "\x1b[31m {} \x1b[0m"])
def test_a_token_of_a_known_form_goes_wherever_it_stands(known: str, around: str) -> None:
    hidden = hide(around.format(known))

    assert known not in hidden
    assert STARS in hidden
    assert known not in json.dumps(Redaction().plain({"label": [around.format(known)]}))


@pytest.mark.parametrize(("line", "secret"), TELLING.values(), ids=TELLING)
def test_a_value_goes_that_what_stands_before_it_calls_a_secret(line: str, secret: str) -> None:
    hidden = hide(f"before\n{line.format(secret)}\nafter\n")

    assert STARS in hidden
    assert hidden.startswith("before\n")
    assert hidden.endswith("after\n")
    parts = secret.splitlines()[1:-1] if "\n" in secret else [secret[at : at + 12] for at in range(len(secret) - 11)]
    assert parts
    assert not [part for part in parts if part in hidden]


STAYS = {
    "a commit": f"commit {CHANCE.randbytes(20).hex()} (HEAD -> main)",
    "a digest": f"sha256:{CHANCE.randbytes(32).hex()}  dist/nightmill.tar.gz",
    "an id": f"request {uuid.UUID(bytes=CHANCE.randbytes(16))} took 3 ms, token {uuid.UUID(bytes=CHANCE.randbytes(16))}",
    "a lock of npm": f'"integrity": "sha512-{base64.b64encode(CHANCE.randbytes(64)).decode()}",',
    "a lock of Go": f"golang.org/x/net v0.17.0 h1:{base64.b64encode(CHANCE.randbytes(32)).decode()}",
    "a wheel": f"pkg/__init__.py,sha256={base64.urlsafe_b64encode(sha256(b'x').digest()).decode().rstrip('=')},120",
    "a lock of uv": f'{{ url = "x.whl", hash = "sha256:{CHANCE.randbytes(32).hex()}", size = 65162 }}',
    "a public key": f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{web(43)} ada@example.org"[:60] + "+/ ada",
    "a fingerprint": f"256 SHA256:{base64.b64encode(CHANCE.randbytes(32)).decode().rstrip('=')} ada (ED25519)",
    "text in base64": base64.b64encode(b"what a test gives to a decoder, twice 12 or 13 times").decode(),
    "text in base64 of the web": base64.urlsafe_b64encode(b"Zm9vYmFy is foobar, 1 2 3 times").decode().rstrip("="),
    "an image": "\n".join(base64.b64encode(CHANCE.randbytes(57)).decode() for _ in range(8)),
    "code": "token = get_token(request, max_tokens=4096)\nself.api_key = config.api_key2\npassword: str | None = None",
    "a typed name": "def exchange(self, peer_public_key: x448.X448PublicKey, key: MLKEM768PrivateKey) -> bytes:",
    "a call": "private_key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)",
    "a price": '"input_cost_per_token": 1.41953125e-07,',
    "a class": "tests.http2.TestHTTP2ConnectionPoolWithIPv6Address::test_reset_stream_by_peer_42 PASSED",
    "a symbol": "_ZNSt6vectorIiSaIiEE9push_backEOi",
    "a path": "/var/folders/Zz/Ab3dE5gH7jK9mN1pQ3sT5vW7yZ/T/pytest-of-ada/pytest-0",
    "an address": "https://example.org/a/Ab3dE5gH7jK9mN1pQ3sT5vW7yZ?page=2",
    "a password in a sample": "postgres://postgres:password@localhost/test",
    "a number": "token 1234567890123456, key=1700000000.123456",
}


@pytest.mark.parametrize("line", STAYS.values(), ids=STAYS)
def test_what_is_no_secret_stays(line: str) -> None:
    assert hide(line) == line


def test_a_name_in_an_event_stays_and_a_random_word_in_a_sentence_does_not() -> None:
    call = "toolu_01D7FLrfh4GYq7yT1ULFeyMV"
    plain = {"call": call, "label": f"echo {'aB3dE5gH7jK9mN1pQ3sT5vW7yZ1'}", "values": {"api_key": "k3y-0f-th3-5hop-1"}}

    assert Redaction().plain(plain) == {"call": call, "label": f"echo {STARS}", "values": {"api_key": STARS}}


@pytest.mark.parametrize("around", ["I take {}.", "{}...", "({}).", "it is {}.\n", "was it {}?", "`{}`."])
def test_a_random_word_goes_at_the_end_of_a_sentence_too(around: str) -> None:
    assert hide(around.format("aB3dE5gH7jK9mN1pQ3sT5vW7yZ1")) == around.format(STARS)


def test_most_random_words_are_found_and_nearly_all_with_a_telling_name() -> None:
    made = [give(length) for give in (token, web) for length in (24, 32, 40, 43, 48) for _ in range(100)]

    alone = sum(STARS in hide(f"it said {each} and ended") for each in made)
    named = sum(STARS in hide(f"SHOP_TOKEN={each}") for each in made)

    assert alone >= 0.8 * len(made)
    assert named >= 0.98 * len(made)


def test_what_is_hidden_once_is_not_changed_again() -> None:
    text = "\n".join([*SECRET.values(), *(line.format(each) for line, each in TELLING.values())])

    assert hide(hide(text)) == hide(text)


def test_the_locks_and_the_code_of_this_repository_stay_as_they_are() -> None:
    locks = [*ROOT.glob("requirements/*.txt"), ROOT / "pyproject.toml"]
    code = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.md")]

    changed = [path.name for path in (*locks, *code) if hide(text := path.read_text(encoding="utf-8")) != text]

    assert changed == []
