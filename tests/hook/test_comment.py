"""What somebody wrote at a forge is read in the shape of each forge; what no person wrote, or is not new, is nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightmill.hook import read
from nightmill.hook.comment import LONGEST

HEAD = {"ref": "nightmill/r1", "sha": "b" * 40, "repo": {"id": 1}}
PULL = {"number": 7, "head": HEAD, "base": {"repo": {"id": 1}}}
LAB = {"iid": 7, "source_branch": "nightmill/r1", "last_commit": {"id": "b" * 40}}
LAB |= {"source_project_id": 1, "target_project_id": 1}
ADA = {"login": "ada", "type": "User"}


def github(event: str, **plain: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return {"x-github-event": event}, {"sender": ADA, **plain}


def gitea(event: str, **plain: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return {"x-github-event": event, "x-gitea-event": event}, {"sender": {"login": "ada"}, **plain}


def gitlab(note: dict[str, Any], **plain: Any) -> tuple[dict[str, str], dict[str, Any]]:
    attributes = {"id": 5, "note": "Use cents.", "noteable_type": "MergeRequest", "action": "create", **note}
    told = {"user": {"username": "ada"}, "merge_request": LAB, "object_attributes": attributes, **plain}
    return {"x-gitlab-event": "Note Hook"}, told


ISSUE = {"number": 7, "pull_request": {"url": "…"}}
WORD = {"id": 5, "body": "Use cents."}
LINE = {**WORD, "path": "src/cart.py", "line": 12}
REVIEW = {"id": 5, "body": "Use cents.", "state": "approved"}
PLACE = {"new_path": "src/cart.py", "new_line": 12}

WRITTEN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "GitHub": (github("issue_comment", action="created", issue=ISSUE, comment=WORD), ("issue_comment", "", 0)),
    "a line at GitHub": (
        github("pull_request_review_comment", action="created", pull_request=PULL, comment=LINE),
        ("pull_request_review_comment", "src/cart.py", 12),
    ),
    "a line that is gone": (
        github(
            "pull_request_review_comment",
            action="created",
            pull_request=PULL,
            comment={**LINE, "line": None, "original_line": 9},
        ),
        ("pull_request_review_comment", "src/cart.py", 9),
    ),
    "a review at GitHub": (
        github("pull_request_review", action="submitted", pull_request=PULL, review=REVIEW),
        ("pull_request_review", "", 0),
    ),
    "Gitea": (gitea("issue_comment", action="created", issue=ISSUE, comment=WORD), ("issue_comment", "", 0)),
    "a review at Gitea": (
        gitea(
            "pull_request_rejected",
            action="reviewed",
            pull_request=PULL,
            review={"type": "pull_request_review_rejected", "content": "Use cents."},
        ),
        ("pull_request_rejected", "", 0),
    ),
    "GitLab": (gitlab({}), ("note", "", 0)),
    "a line at GitLab": (gitlab({"position": PLACE}), ("note", "src/cart.py", 12)),
}


@pytest.mark.parametrize(("told", "meant"), WRITTEN.values(), ids=WRITTEN)
def test_what_somebody_wrote_is_read_with_its_place(told: Any, meant: tuple[Any, ...]) -> None:
    headers, plain = told
    said = read(headers, json.dumps(plain).encode())

    assert said is not None
    assert said.comment is not None
    assert (said.kind, said.about, said.by, said.comment.text) == ("commented", "#7", "ada", "Use cents.")
    assert (said.comment.id.partition("/")[0], said.comment.path, said.comment.line) == meant
    assert read(headers, json.dumps(plain, indent=1).encode()).comment == said.comment  # type: ignore[union-attr]


NOTHING: dict[str, Any] = {
    "edited": github("issue_comment", action="edited", issue=ISSUE, comment=WORD),
    "deleted": github("issue_comment", action="deleted", issue=ISSUE, comment=WORD),
    "about an issue": github("issue_comment", action="created", issue={"number": 7}, comment=WORD),
    "a bot": github("issue_comment", action="created", issue=ISSUE, comment=WORD, sender={"login": "x", "type": "Bot"}),
    "a bot by its name": gitea(
        "issue_comment", action="created", issue=ISSUE, comment=WORD, sender={"login": "renovate[bot]"}
    ),
    "by an app": github(
        "issue_comment", action="created", issue=ISSUE, comment={**WORD, "performed_via_github_app": {"id": 1}}
    ),
    "without words": github(
        "pull_request_review", action="submitted", pull_request=PULL, review={**REVIEW, "body": None}
    ),
    "no comment": github("issue_comment", action="created", issue=ISSUE, comment="x"),
    "a note of the system": gitlab({"system": True}),
    "a note that changed": gitlab({"action": "update"}),
    "a note on a commit": gitlab({"noteable_type": "Commit"}),
    "a bot of a token": gitlab({}, user={"username": "project_7_bot_ab12"}),
    "nobody": gitlab({}, user=None),
}


@pytest.mark.parametrize("told", NOTHING.values(), ids=NOTHING)
def test_what_no_person_wrote_or_is_not_new_says_nothing(told: Any) -> None:
    headers, plain = told
    said = read(headers, json.dumps(plain).encode())

    assert said is None or said.comment is None


def test_a_branch_of_another_repository_is_not_ours_whatever_it_is_called() -> None:
    fork = {**PULL, "head": {**HEAD, "repo": {"id": 2}}}
    told = github("pull_request_review_comment", action="created", pull_request=fork, comment=LINE)
    lab = gitlab({}, merge_request={**LAB, "source_project_id": 2})

    for headers, plain in (told, lab):
        said = read(headers, json.dumps(plain).encode())
        assert said is not None
        assert said.branch == ""


def test_a_long_comment_is_cut_and_says_so() -> None:
    headers, plain = github("issue_comment", action="created", issue=ISSUE, comment={"id": 5, "body": "x" * 9_000})
    said = read(headers, json.dumps(plain).encode())

    assert said is not None
    assert said.comment is not None
    assert said.comment.text == "x" * LONGEST + "\n[1,000 more characters are left out]"
