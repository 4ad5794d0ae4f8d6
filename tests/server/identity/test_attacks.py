"""What somebody tries where people come in by an identity provider."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey

from nightmill.server.pages import identity
from nightmill.server.pages.identity import WAITING
from nightmill.server.rates import Rate
from nightmill.store import keys
from tests.server.conftest import House
from tests.server.identity.idp import KEY, Between, arrive, believed, invited, key, running, signs_in


def test_an_answer_is_only_for_the_browser_that_asked_and_once(house: House, between: Between) -> None:
    invited(house)
    with httpx2.Client(timeout=60) as browser, httpx2.Client(timeout=60) as other:
        back = arrive(browser, f"{house.url}/sign-in/with", "u-ada")
        state = parse_qs(urlsplit(back).query)["state"][0]
        assert other.get(back).status_code == 400, "of another browser, that asked nothing"
        other.get(f"{house.url}/sign-in/with")
        assert other.get(back).status_code == 400, "or something else"
        for forged in ("", "x", state[:-1], state + "a", state.swapcase()):
            assert browser.get(back.replace(state, forged)).status_code == 400, forged
        assert browser.get(back).status_code == 303, "and none of that ended the attempt"
        assert browser.get(back).status_code == 400, "a second time"


def test_a_code_is_worth_nothing_without_the_browser_that_asked_for_it(house: House, between: Between) -> None:
    invited(house)
    with httpx2.Client(timeout=60) as victim, httpx2.Client(timeout=60) as thief:
        stolen = parse_qs(urlsplit(arrive(victim, f"{house.url}/sign-in/with", "u-ada")).query)["code"][0]
        own = arrive(thief, f"{house.url}/sign-in/with", "u-eve")
        code = parse_qs(urlsplit(own).query)["code"][0]
        answer = thief.get(own.replace(code, stolen))

    assert answer.status_code == 403
    assert "refuses the code" in answer.text, "the verifier is the other browser's"


def test_a_code_that_was_used_is_refused_by_the_provider_and_lets_nobody_in(house: House, between: Between) -> None:
    invited(house)
    with httpx2.Client(timeout=60) as browser:
        back = arrive(browser, f"{house.url}/sign-in/with", "u-ada")
        code = parse_qs(urlsplit(back).query)["code"][0]
        kept = browser.cookies.get("nightmill-attempt")
        assert browser.get(back).status_code == 303
        with house.door.database.write() as connection:  # as if the attempt had not been used up
            row = keys.row(str(kept), kind="attempt", address="", now=house.clock(), expires=house.clock() + 60)
            connection.execute(keys.key.insert().values(row | {"scopes": '"/"'}))
        browser.cookies.set("nightmill-attempt", str(kept), domain="127.0.0.1")
        answer = browser.get(back)

    assert code
    assert answer.status_code == 403
    assert "refuses the code" in answer.text


def test_an_attempt_ends_after_a_while(house: House, between: Between) -> None:
    invited(house)
    with httpx2.Client(timeout=60) as browser:
        back = arrive(browser, f"{house.url}/sign-in/with", "u-ada")
        house.clock.now += 601
        assert browser.get(back).status_code == 400


def part(said: Any) -> str:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(token: str) -> str:
    return f"{part({'alg': 'none'})}.{token.split('.')[1]}."


def by_secret(secret: bytes) -> Callable[[str], str]:
    """A token that is signed with what everybody knows, as if it were a secret that both sides have."""

    def make(token: str) -> str:
        head = f"{part({'alg': 'HS256', 'kid': 'first'})}.{token.split('.')[1]}"
        return f"{head}.{part(hmac.digest(secret, head.encode(), hashlib.sha256))}"

    return make


def by_another(token: str) -> str:
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    stranger = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, stranger)


def changed(token: str) -> str:
    head, body, seal = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{part({**claims, 'sub': 'u-root'})}.{seal}"


def claiming(**claims: Any) -> Callable[[str], str]:
    """A token with the provider's own signature, as a provider would make it that errs; None takes a claim out."""

    def make(token: str) -> str:
        said = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        new = {name: value for name, value in {**said, **claims}.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "first"}, new, RSAKey.import_key(KEY))

    return make


PUBLIC = RSAKey.import_key(KEY).as_pem(private=False)


LIES: dict[str, Callable[[str], str]] = {
    "alg none": unsigned,
    "HS256 with the public key": by_secret(PUBLIC),
    "HS256 with the client's secret": by_secret(b"mills-secret"),
    "another key by the same name": by_another,
    "changed after it was signed": changed,
    "another audience": claiming(aud="other"),
    "several, and not whose": claiming(aud=["mill", "other"]),
    "several, and another's": claiming(aud=["mill", "other"], azp="other"),
    "given to another": claiming(azp="other"),
    "another issuer": claiming(iss="https://evil.example"),
    "issuers": claiming(iss=["https://evil.example"]),
    "another nonce": claiming(nonce="of-another-attempt"),
    "no nonce": claiming(nonce=None),
    "nonces": claiming(nonce=["x"]),
    "over": claiming(exp=1),
    "without end": claiming(exp=None),
    "an end that is none": claiming(exp="never"),
    "of the future": claiming(iat=4_000_000_000),
    "nobody": claiming(sub=None),
    "an empty name": claiming(sub=""),
    "no name": claiming(sub={"a": 1}),
    "beside another access token": claiming(at_hash="x"),
    "too long": lambda token: token + "x" * 100_000,
    "no token": lambda _: "[[[[",
    "a bomb": lambda token: f"{part('[' * 10_000)}.{token.split('.')[1]}.x",
}


def test_a_token_that_is_not_the_providers_for_us_now_is_not_believed(house: House, between: Between) -> None:
    secret = invited(house)
    answers = {}
    for name, lie in LIES.items():
        between.lies["token"] = lambda said, lie=lie: {**said, "id_token": lie(said["id_token"])}  # type: ignore[misc]
        answers[name] = signs_in(house, "u-ada")

    assert {name for name, answer in answers.items() if answer.status_code != 403} == set()
    assert {name for name, answer in answers.items() if "cannot be believed" not in answer.text} == set()
    assert {name for name, answer in answers.items() if "set-cookie" in answer.headers} == set()
    assert house.site.people.known("ada@example.org") is None
    assert house.site.people.invited(secret), "and the invitation is good still"
    between.lies["token"] = lambda said: {**said, "id_token": claiming()(said["id_token"])}
    assert signs_in(house, "u-ada").status_code == 303, "which it is with nothing changed, signed in the same way"


def test_a_token_of_the_same_provider_for_another_client_is_not_believed(house: House, between: Between) -> None:
    invited(house)
    with httpx2.Client(timeout=60) as evil:
        theirs = token_for_another(evil, house, between)
    between.lies["token"] = lambda said: {**said, "id_token": theirs}

    answer = signs_in(house, "u-ada")

    assert (answer.status_code, "cannot be believed" in answer.text) == (403, True)


def token_for_another(browser: httpx2.Client, house: House, between: Between) -> str:
    """An id token that the provider gave to the client "other"."""
    verifier, back = "v" * 64, f"{house.url}/sign-in/back"
    asked = {"client_id": "other", "response_type": "code", "scope": "openid", "redirect_uri": back, "state": "s"}
    asked |= {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256", "nonce": "n"}
    came = arrive(browser, f"{between.issuer}/auth?{httpx2.QueryParams(asked)}", "u-ada")
    code = parse_qs(urlsplit(came).query)["code"][0]
    told = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
    answer = browser.post(f"{between.issuer}/token", data=told, auth=("other", "others-secret"))
    return str(answer.json()["id_token"])


def test_an_answer_that_says_it_is_of_another_provider_ends_there(house: House, between: Between) -> None:
    invited(house)
    for wrong in ("https://evil.example", ""):
        with httpx2.Client(timeout=60) as browser:
            back = httpx2.URL(arrive(browser, f"{house.url}/sign-in/with", "u-ada"))
            assert back.params["iss"] == between.issuer
            asked = [each for each in between.asked if each == "/token"]
            answer = browser.get(back.copy_set_param("iss", wrong))
        assert (answer.status_code, "another provider" in answer.text) == (403, True)
        assert [each for each in between.asked if each == "/token"] == asked, "and its code was shown to nobody"


def test_what_the_provider_says_beside_its_token_is_of_the_same_person(house: House, between: Between) -> None:
    invited(house)
    between.lies["me"] = lambda said: {**said, "sub": "u-root"}

    assert signs_in(house, "u-ada").status_code == 403


def test_a_provider_that_takes_a_new_key_is_believed_with_it(house: House, tmp_path: Path) -> None:
    invited(house)
    back = f"{house.url}/sign-in/back"
    with running(tmp_path, keys=[KEY], back=back) as first:
        believed(house, first)
        assert signs_in(house, "u-ada").status_code == 303
    with running(tmp_path, keys=[key("second")], back=back, port=first.port, token=True) as second:
        house.clock.now += 31
        assert signs_in(house, "u-ada").status_code == 303
        looks = sum(each == "/jwks" for each in second.asked)
        second.lies["token"] = lambda said: {**said, "id_token": by_another(said["id_token"]).replace("first", "x")}
        for _ in range(3):
            house.clock.now += 5
            assert signs_in(house, "u-ada").status_code == 403
        assert sum(each == "/jwks" for each in second.asked) == looks, (
            "a name that there is not makes nobody ask on and on"
        )


def test_nobody_has_the_provider_asked_without_end(
    house: House, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "FROM_ONE_PLACE", Rate(burst=3, seconds=1000.0))
    with house.nobody() as client:
        said = [client.get(path) for path in ("/sign-in/with", "/sign-out/with", "/sign-in/with", "/sign-in/with")]

    assert [each.status_code for each in said] == [303, 303, 303, 429]
    assert between.issuer in said[0].headers["location"]


@pytest.mark.parametrize(
    ("place", "lie", "status"),
    [
        ("openid-configuration", {"issuer": "https://evil.example"}, 403),
        ("openid-configuration", {"token_endpoint": "http://evil.example/token"}, 403),
        ("openid-configuration", {"jwks_uri": 5}, 403),
        ("openid-configuration", {"authorization_endpoint": "javascript:alert(1)"}, 403),
    ],
)
def test_what_a_provider_says_of_itself_is_believed_only_if_it_can_be(
    house: House, between: Between, place: str, lie: dict[str, Any], status: int
) -> None:
    between.lies[place] = lambda said: {**said, **lie}

    with httpx2.Client(timeout=60) as browser:
        assert browser.get(f"{house.url}/sign-in/with").status_code == status


def test_what_is_no_answer_lets_nobody_in_and_breaks_nothing(house: House, between: Between) -> None:
    invited(house)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("token", {"expires_in": "soon"}),
        ("token", {"id_token": 5}),
        ("token", {"id_token": None}),
        ("token", {"error": "server_error"}),
        ("jwks", {"keys": []}),
        ("jwks", {"keys": "none"}),
        ("jwks", {"keys": [{"kty": "RSA"}]}),
        ("jwks", {"keys": [{"kty": "oct", "k": "bWlsbHMtc2VjcmV0"}]}),
        ("me", {"sub": None}),
        ("me", {"email": ["ada@example.org"]}),
        ("me", {"email_verified": "true"}),
        ("me", {"email": "ada@example.org\u202e"}),
    ]
    for place, lie in wrong:
        believed(house, between)
        between.lies.clear()
        between.lies[place] = lambda said, lie=lie: {**said, **lie}  # type: ignore[misc]
        assert signs_in(house, "u-ada").status_code == 403, lie
    assert house.site.people.known("ada@example.org") is None


def test_a_provider_that_hangs_holds_up_nobody_who_does_not_want_it(house: House, between: Between) -> None:
    go = threading.Event()

    def hang(said: dict[str, Any]) -> dict[str, Any]:
        assert go.wait(60)
        return said

    between.lies["openid-configuration"] = hang
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(httpx2.get, f"{house.url}/sign-in/with", timeout=60) for _ in range(20)]
        try:
            refused = list(islice(as_completed(asked, timeout=60), 20 - WAITING))
            with house.nobody() as client:
                assert client.get("/sign-in").status_code == 200, "a page that needs a thread of the server"
        finally:
            go.set()

    assert {each.result().status_code for each in refused} == {503}
    assert [each.result().status_code for each in asked if each not in refused] == [303] * WAITING


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_led_away_by_what_the_link_says(house: House, between: Between, to: str) -> None:
    invited(house)

    assert signs_in(house, "u-ada", to=to).headers["location"] == "/"


def test_what_the_provider_refuses_is_told_as_text(house: House, between: Between) -> None:
    with httpx2.Client(timeout=60) as browser:
        begun = browser.get(f"{house.url}/sign-in/with").headers["location"]
        state = parse_qs(urlsplit(begun).query)["state"][0]
        said = {"state": state, "iss": between.issuer, "error": "<script>alert(1)</script>"}
        answer = browser.get(f"{house.url}/sign-in/back", params=said, headers={"Accept": "text/html"})

    assert answer.status_code == 403
    assert "<script>alert" not in answer.text
