"""What somebody wrote about a pull request at a forge, out of what the forge says of it: new words of a person, and nothing else.

What was edited or deleted says nothing new; what a bot or the forge itself wrote is no word of a person. The ids of comments, of
reviews and of comments on lines are counted apart at GitHub, so each is named by its kind, too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

__all__ = ["Comment", "of_github", "of_gitlab"]

LONGEST = 8_000
"""Characters of one comment that are taken."""
PATH = 1_000
BOTS = ("[bot]", "-bot")
"""How logins of bots end; GitHub and GitLab say so besides."""

GITHUB = {
    "issue_comment": "comment",
    "pull_request_review_comment": "comment",
    "pull_request_comment": "review",
    "pull_request_approved": "review",
    "pull_request_rejected": "review",
    "pull_request_review": "review",
}
"""Events with words in them (the three in the middle are Gitea's), and where these stand."""
NEW = {"created", "submitted", "reviewed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """*text* about the line *line* of the file *path*, 0 and "": about the whole. *id* is the same whenever it is told."""

    id: str
    text: str
    path: str = ""
    line: int = 0


def of_github(name: str, plain: dict[str, Any]) -> Comment | None:
    """The new words of a person in the event *name* of GitHub, Gitea or Forgejo; None: there are none."""
    place = GITHUB.get(name, "")
    found, issue = plain.get(place), plain.get("issue")
    if not isinstance(found, dict) or plain.get("action") not in NEW or found.get("performed_via_github_app"):
        return None
    if isinstance(issue, dict) and not issue.get("pull_request"):
        return None  # about an issue, whose number says nothing about pull requests
    sender = plain.get("sender")
    if not isinstance(sender, dict) or sender.get("type") == "Bot" or _bot(sender.get("login")):
        return None
    line = found.get("line") or found.get("original_line")
    return _comment(name, found.get("id"), found.get("body") or found.get("content"), found.get("path"), line)


def of_gitlab(plain: dict[str, Any]) -> Comment | None:
    """As `of_github`, in the event of a note at GitLab."""
    found, user = plain.get("object_attributes"), plain.get("user")
    if not isinstance(found, dict) or found.get("system") or found.get("action") not in {None, "", "create"}:
        return None
    if found.get("noteable_type") != "MergeRequest" or not isinstance(user, dict) or _bot(user.get("username")):
        return None
    position = found.get("position")
    at = position if isinstance(position, dict) else {}
    return _comment(
        "note", found.get("id"), found.get("note"), at.get("new_path") or at.get("old_path"), at.get("new_line")
    )


def _comment(kind: str, id: Any, text: Any, path: Any, line: Any) -> Comment | None:
    if not isinstance(text, str) or not text.strip():
        return None
    text = text.replace("\r\n", "\n").strip()
    # A review at Gitea has no id: it is its words.
    named = id if isinstance(id, int) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    over = f"\n[{len(text) - LONGEST:,} more characters are left out]" if len(text) > LONGEST else ""
    place = " ".join(path[:PATH].split()) if isinstance(path, str) else ""
    number = line if isinstance(line, int) and 0 < line < 10_000_000 else 0
    return Comment(id=f"{kind}/{named}", text=text[:LONGEST] + over, path=place, line=number if place else 0)


def _bot(login: Any) -> bool:
    """Whether it says so of itself; GitLab's bots of tokens are `project_7_bot_…`."""
    name = login.casefold() if isinstance(login, str) else ""
    return not name or name.endswith(BOTS) or (name.startswith(("project_", "group_")) and "_bot" in name)
