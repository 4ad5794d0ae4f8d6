"""What a forge says is believed when its signature holds for exactly that, and then it is read without trust in its shape."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from nightmill.errors import SettingsError
from nightmill.hook import fresh, is_from, read

SECRET = fresh()
BODY = json.dumps({"ref": "refs/heads/main", "after": "a" * 40, "sender": {"login": "ada"}}).encode()


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


GOOD = {
    "github": {"x-hub-signature-256": f"sha256={signed(BODY)}"},
    "gitea": {"x-gitea-signature": signed(BODY)},
    "forgejo": {"x-forgejo-signature": signed(BODY), "x-hub-signature-256": f"sha256={signed(BODY)}"},
    "gitlab": {"x-gitlab-token": SECRET},
}
FORGED: dict[str, dict[str, str]] = {
    "nothing": {},
    "empty": {"x-hub-signature-256": ""},
    "another secret": {"x-hub-signature-256": f"sha256={signed(BODY, fresh())}"},
    "another body": {"x-hub-signature-256": f"sha256={signed(BODY + b' ')}"},
    "the old kind alone": {"x-hub-signature": "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()},
    "one of two": {"x-gitea-signature": signed(BODY), "x-hub-signature-256": "sha256=" + "0" * 64},
    "a token beside a wrong signature": {"x-gitlab-token": SECRET, "x-hub-signature-256": "sha256=" + "0" * 64},
    "no ASCII": {"x-hub-signature-256": "sha256=ä"},
    "half a token": {"x-gitlab-token": SECRET[:-1]},
}


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
def test_each_forge_is_known_by_its_way_to_sign(headers: dict[str, str]) -> None:
    assert is_from(SECRET, headers, BODY)


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_what_is_forged_is_not(headers: dict[str, str]) -> None:
    assert not is_from(SECRET, headers, BODY)


HEAD = {"ref": "nightmill/r1", "sha": "b" * 40}


def github(name: str, **plain: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return {"x-github-event": name, "x-github-delivery": "d1"}, {"sender": {"login": "ada"}, **plain}


def gitlab(name: str, **plain: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return {"x-gitlab-event": name, "x-gitlab-event-uuid": "d1"}, {"user": {"username": "ada"}, **plain}


MERGED = {"number": 7, "merged": True, "head": HEAD}
CLOSED = {**MERGED, "merged": False}
LAB = {"iid": 7, "source_branch": HEAD["ref"], "last_commit": {"id": HEAD["sha"]}}
SAID = {
    "a push": (github("push", ref="refs/heads/main", after="a" * 40), ("github", "pushed", "main", "a" * 40)),
    "a merge": (github("pull_request", action="closed", pull_request=MERGED), ("github", "merged", "#7", "b" * 40)),
    "an end": (github("pull_request", action="closed", pull_request=CLOSED), ("github", "closed", "#7", "b" * 40)),
    "a comment": (github("issue_comment", action="created", issue={"number": 7}), ("github", "commented", "#7", "")),
    "a push at GitLab": (
        gitlab("Push Hook", ref="refs/heads/main", after="a" * 40),
        ("gitlab", "pushed", "main", "a" * 40),
    ),
    "a merge at GitLab": (
        gitlab("Merge Request Hook", object_attributes={**LAB, "action": "merge"}),
        ("gitlab", "merged", "#7", "b" * 40),
    ),
    "a comment at GitLab": (gitlab("Note Hook", merge_request=LAB), ("gitlab", "commented", "#7", "b" * 40)),
}


@pytest.mark.parametrize(("told", "meant"), SAID.values(), ids=SAID)
def test_what_happened_is_read(told: tuple[dict[str, str], dict[str, Any]], meant: tuple[str, ...]) -> None:
    headers, plain = told

    said = read(headers, json.dumps(plain).encode())

    assert said is not None
    assert (said.forge, said.kind, said.about, said.commit) == meant
    assert (said.by, said.delivery) == ("ada", "d1")


def test_gitea_says_it_as_github_and_is_called_by_its_name() -> None:
    headers, plain = github("push", ref="refs/heads/main", after="a" * 40)
    said = read({**headers, "x-gitea-event": "push", "x-gitea-delivery": "d1"}, json.dumps(plain).encode())

    assert said is not None
    assert said.forge == "gitea"


@pytest.mark.parametrize("name", ["ping", "star", "", "push"])
@pytest.mark.parametrize(
    "plain", [{}, {"sender": 1}, {"pull_request": []}, {"ref": {"a": 1}, "after": 2, "sender": {"login": None}}]
)
def test_what_is_of_another_shape_is_nothing_or_empty(name: str, plain: dict[str, Any]) -> None:
    said = read({"x-github-event": name}, json.dumps(plain).encode())

    assert said is None or (name == "push" and (said.about, said.commit, said.by) == ("", "", ""))


@pytest.mark.parametrize("body", [b"", b"[1]", b"1", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(SettingsError, match="no JSON"):
        read({"x-github-event": "push"}, body)


def test_texts_are_one_line_and_bounded() -> None:
    headers, plain = github("push", ref="refs/heads/" + "x" * 9999, after="a\nb\x1b[31m", sender={"login": "a\n" * 999})
    said = read(headers, json.dumps(plain).encode())

    assert said is not None
    assert max(map(len, (said.about, said.by, said.commit))) <= 200
    assert "\n" not in said.about + said.by + said.commit
