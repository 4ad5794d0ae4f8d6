"""What a forge says of itself: whether it is from there, and what it means. Nothing is read of what is not signed.

GitHub, Gitea and Forgejo sign the body (HMAC-SHA256); GitLab sends the secret itself. Neither signs the headers or a time, so what
is new is judged by the body alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightmill.errors import SettingsError
from nightmill.hook.comment import GITHUB, Comment, of_github, of_gitlab

__all__ = ["Said", "is_from", "read"]

SIGNED = ("x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature")
TOKEN = "x-gitlab-token"  # noqa: S105 - the name of a header
LONGEST = 200
ACTIONS = {
    **dict.fromkeys(("opened", "open", "reopened", "reopen"), "opened"),
    **dict.fromkeys(("synchronize", "synchronized", "edited", "update"), "changed"),
    **dict.fromkeys(("closed", "close"), "closed"),
    "merge": "merged",
}
COMMENTS = {*GITHUB, "Note Hook"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What happened at a forge; each is "" if it was not said. *kind* and *about* are as in `event.ForgeHeard`.

    *branch* is its head, "" if that is in another repository than its target: anybody may call a branch of theirs as ours. *comment*:
    the new words of a person in it.
    """

    forge: str
    kind: str
    about: str
    branch: str
    commit: str
    by: str
    delivery: str
    digest: str
    comment: Comment | None = None


def is_from(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether who sent *headers* (names in lower case) and *body* has *secret*. It takes as long for any that is wrong."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    said = [headers[name].removeprefix("sha256=") for name in SIGNED if name in headers]
    if said:  # all of them: no weaker way beside a stronger one that is wrong
        return all(hmac.compare_digest(made.encode(), each.encode("utf-8", "replace")) for each in said)
    return hmac.compare_digest(secret.encode(), headers.get(TOKEN, "").encode("utf-8", "replace"))


def read(headers: Mapping[str, str], body: bytes) -> Said | None:
    """What *body* says; None: nothing that matters here.

    Raises:
        SettingsError: If it is no JSON object.
    """
    try:
        plain = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SettingsError("what came is no JSON", hint="choose application/json as its content type") from error
    if not isinstance(plain, dict):
        raise SettingsError("what came is no JSON object", hint="choose application/json as its content type")
    gitlab = "x-gitlab-event" in headers
    name = headers.get("x-gitlab-event" if gitlab else "x-github-event", "") or headers.get("x-gitea-event", "")
    found = _of_gitlab(name, plain) if gitlab else _of_github(name, plain)
    if found is None:
        return None
    ours = "x-gitea-event" in headers or "x-forgejo-event" in headers
    delivery = headers.get("x-gitlab-event-uuid" if gitlab else "x-github-delivery", "") or headers.get(
        "x-gitea-delivery", ""
    )
    return Said(
        forge="gitlab" if gitlab else "gitea" if ours else "github",
        delivery=delivery[:LONGEST],
        digest=hashlib.sha256(body).hexdigest(),
        comment=of_gitlab(plain) if name == "Note Hook" else of_github(name, plain),
        **found,
    )


def _of_github(name: str, plain: dict[str, Any]) -> dict[str, str] | None:
    by = _text(plain, "sender", "login")
    if name == "push":
        branch = _text(plain, "ref").removeprefix("refs/heads/")
        return {"kind": "pushed", "about": branch, "branch": branch, "commit": _text(plain, "after"), "by": by}
    request = plain.get("pull_request") or plain.get("issue")
    if not isinstance(request, dict) or (name != "pull_request" and name not in COMMENTS):
        return None
    kind = "commented" if name in COMMENTS else ACTIONS.get(_text(plain, "action"), "")
    kind = "merged" if kind == "closed" and request.get("merged") is True else kind
    ours = _of(request, "head", "repo", "id") == _of(request, "base", "repo", "id")
    head = {"branch": _text(request, "head", "ref") if ours else "", "commit": _text(request, "head", "sha")}
    return {"kind": kind, "about": f"#{_number(request.get('number'))}", "by": by, **head} if kind else None


def _of_gitlab(name: str, plain: dict[str, Any]) -> dict[str, str] | None:
    by = _text(plain, "user_username") or _text(plain, "user", "username")
    if name == "Push Hook":
        branch = _text(plain, "ref").removeprefix("refs/heads/")
        return {"kind": "pushed", "about": branch, "branch": branch, "commit": _text(plain, "after"), "by": by}
    request = plain.get("merge_request" if name in COMMENTS else "object_attributes")
    if not isinstance(request, dict) or (name != "Merge Request Hook" and name not in COMMENTS):
        return None
    kind = "commented" if name in COMMENTS else ACTIONS.get(_text(request, "action"), "")
    ours = request.get("source_project_id") == request.get("target_project_id")
    head = {
        "branch": _text(request, "source_branch") if ours else "",
        "commit": _text(request, "last_commit", "id"),
    }
    return {"kind": kind, "about": f"#{_number(request.get('iid'))}", "by": by, **head} if kind else None


def _of(plain: Any, *names: str) -> Any:
    for name in names:
        plain = plain.get(name) if isinstance(plain, dict) else None
    return plain


def _text(plain: Any, *names: str) -> str:
    """The text at *names*, one line of it, bounded; "" for anything else."""
    found = _of(plain, *names)
    return " ".join(found[:LONGEST].split()) if isinstance(found, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
