"""What a bare repository holds: commits, trees, files and the differences between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nightmill.errors import EngineError, LimitReached, RepoError
from nightmill.repo.git import HOST, Call, Git, Ran, shown, text
from nightmill.repo.lock import holding

__all__ = ["Change", "Commit", "Diff", "File", "History", "safe"]

NAME = re.compile(r"[A-Za-z0-9_%][^\x00-\x20\x7f~^:?*\[\\\ud800-\udc7f\udd00-\udfff]*")
LOG = "%H%x00%T%x00%P%x00%an%x00%ae%x00%ct%x00%B"
LOG_FIELDS = 7
ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit. *when* is its committer's time in Unix seconds."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    when: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one path differs. A rename is a deletion and an addition.

    Attributes:
        status: "A" added, "M" changed, "D" deleted, "T" changed in kind.
        old_mode: Git's octal mode, "000000" where there is none; so *mode* and, for ids, *old* and *sha*.
        added: Lines; 0 for a *binary* file.
    """

    status: str
    path: str
    added: int
    removed: int
    binary: bool
    old_mode: str
    mode: str
    old: str
    sha: str


class File(NamedTuple):
    """An entry of a tree; *mode* is git's octal text, *size* is 0 for a submodule."""

    path: str
    mode: str
    sha: str
    size: int


class Diff(NamedTuple):
    """A patch as text; *cut* says that it goes on beyond the limit."""

    text: str
    cut: bool


class History:
    """Read a bare repository. Nothing here takes a lock or writes.

    Attributes of trees, mailmaps and textual drivers are not obeyed: what a commit says cannot hide what it does.
    """

    def __init__(self, path: Path, *, git: Git = HOST) -> None:
        self.path = path
        self.git = git
        self.lock = path.parent / f"{path.name}.lock"

    def resolve(self, name: str) -> str | None:
        """The commit that the branch, ref or id *name* means, None if there is none."""
        for full in (name,) if ID.fullmatch(name) else (f"refs/heads/{name}", name):
            ran = self.run("rev-parse", "--verify", "--quiet", f"{safe(full)}^{{commit}}")
            if ran.exit == 0:
                return text(ran.out).strip()
        return None

    def commit_of(self, name: str) -> str:
        """The commit that *name* means.

        Raises:
            RepoError: If there is none.
        """
        found = self.resolve(name)
        if found is None:
            raise RepoError(f"the hub has no commit {name!r}", hint="see `nightmill prs` for what it has")
        return found

    def tree(self, commit: str) -> str:
        """The tree of *commit*, or *commit* itself if it is a tree's id.

        Raises:
            RepoError: If there is none.
        """
        ran = self.run("rev-parse", "--verify", "--quiet", f"{safe(commit)}^{{tree}}")
        if ran.exit:
            raise RepoError(f"the hub has no commit or tree {commit!r}", hint="see `nightmill prs` for what it has")
        return text(ran.out).strip()

    def head(self) -> str:
        """The branch that HEAD names, "" for none."""
        ran = self.run("symbolic-ref", "--quiet", "--short", "HEAD")
        return text(ran.out).strip() if ran.exit == 0 else ""

    def contains(self, *, commit: str, ancestor: str) -> bool:
        """Whether *ancestor* is *commit* or comes before it."""
        ran = self.run("merge-base", "--is-ancestor", safe(ancestor), safe(commit))
        if ran.exit not in {0, 1}:
            raise self.failure("merge-base", ran)
        return ran.exit == 0

    def log(
        self,
        name: str,
        *,
        limit: int = 100,
        without: str = "",
        first_parent: bool = False,
        seconds: float = 60.0,
    ) -> list[Commit]:
        """Commits from *name* backwards, newest first, those that *without* reaches left out.

        Raises:
            EngineError: If it took more than so many *seconds*.
        """
        options = ["-z", "--no-mailmap", f"--max-count={limit}", f"--format=tformat:{LOG}"]
        ends = [safe(name), *([f"^{safe(without)}"] if without else [])]
        flags = ["--first-parent"] if first_parent else []
        out = self.must("log", *options, *flags, *ends, "--", seconds=seconds).out
        words = [word.decode("utf-8", "replace") for word in out.split(b"\0")]
        return [_commit(words[at : at + LOG_FIELDS]) for at in range(0, len(words) - 1, LOG_FIELDS)]

    def followed(self, name: str, path: str, *, limit: int, seconds: float) -> list[tuple[Commit, str]]:
        """Commits from *name* backwards that changed the file *path*, each with its path then: past where it was renamed.

        Raises:
            EngineError: If it took more than so many *seconds*: git goes through all commits for that.
        """
        options = ["-z", "--no-mailmap", f"--max-count={limit}", f"--format=tformat:{LOG}", "--name-only", "--follow"]
        out = self.must("log", *options, safe(name), "--", f":(literal){path}", seconds=seconds).out
        words, found = [word.decode("utf-8", "replace") for word in out.split(b"\0")[:-1]], list[tuple[Commit, str]]()
        while words:
            commit, words = _commit(words[:LOG_FIELDS]), words[LOG_FIELDS:]
            if words and words[0].startswith("\n"):  # a merge names no file
                path = words.pop(0)[1:]
            found.append((commit, path))
        return found

    def files(self, tree: str, *, within: Sequence[str] = ()) -> list[File]:
        """Every entry of *tree* that is not a folder; with *within*, those that are or lie in one of these paths."""
        out = self.must("ls-tree", "-r", "-z", "-l", "--full-tree", safe(tree), "--", *within).out
        return [_file(entry) for entry in out.split(b"\0") if entry]

    def show(self, commit: str, path: str, *, limit: int = 16 << 20) -> bytes:
        """The file *path* of *commit*; of a symbolic link its target.

        Raises:
            RepoError: If there is no such file.
            LimitReached: If it is larger than *limit* bytes.
        """
        ran = self.run("cat-file", "blob", f"{safe(commit)}:{path}", limit=limit)
        if ran.cut:
            raise LimitReached(f"{shown(path)!r} is larger than {limit:,} bytes", limit="file")
        if ran.exit:
            raise RepoError(f"there is no file {shown(path)!r} in {commit!r}")
        return ran.out

    def diff(self, old: str, new: str, *, limit: int = 1 << 20) -> Diff:
        """The patch from *old* to *new* (commits or trees), at most *limit* bytes."""
        ran = self.run("diff-tree", "-p", "-r", *_PLAIN, "-M", safe(old), safe(new), "--", limit=limit)
        if ran.exit and not ran.cut:
            raise self.failure("diff-tree", ran)
        return Diff(ran.out.decode("utf-8", "replace"), ran.cut)

    def changes(self, old: str, new: str) -> list[Change]:
        """Every path that differs between *old* and *new* (commits or trees), sorted as git sorts."""
        ends = ("-r", "-z", *_PLAIN, "--no-renames", safe(old), safe(new), "--")
        words = self.must("diff-tree", "--raw", "--no-abbrev", "--numstat", *ends).out.split(b"\0")
        raw = next(at for at in range(0, len(words), 2) if not words[at].startswith(b":"))  # the counts come after
        counts = dict(_counts(words[raw:]))
        return [_change(text(words[at]), text(words[at + 1]), counts) for at in range(0, raw, 2)]

    def verify(self, commit: str, *, signers: Path) -> bool:
        """Whether *commit* carries a signature of one of *signers* (an OpenSSH allowed signers file)."""
        settings = (f"gpg.ssh.allowedSignersFile={signers}", "gpg.format=ssh")
        call = Call(args=(f"--git-dir={self.path}", "verify-commit", safe(commit)), settings=settings)
        return self.git.run(call).exit == 0

    def run(self, *args: str, limit: int = 256 << 20, seconds: float = 60.0, stdin: bytes = b"") -> Ran:
        """Run git on this repository, named outright so that no other is found."""
        call = Call(
            args=(f"--git-dir={self.path}", *args), bytes=limit, seconds=seconds, stdin=stdin, keep=holding(self.lock)
        )
        return self.git.run(call)

    def must(self, *args: str, seconds: float = 60.0, stdin: bytes = b"") -> Ran:
        """Run git and take nothing but success.

        Raises:
            EngineError: If it failed or said too much.
        """
        ran = self.run(*args, seconds=seconds, stdin=stdin)
        if ran.exit or ran.cut:
            raise self.failure(args[0], ran)
        return ran

    def failure(self, verb: str, ran: Ran) -> EngineError:
        """Git's failure on a repository that is ours."""
        why = "it said more than is read" if ran.cut else ran.error or f"exit status {ran.exit}"
        return EngineError(f"git {verb} failed in {str(self.path)!r}: {why}", hint="see `nightmill doctor`")


_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=none")


def safe(name: str) -> str:
    """A ref or an id that cannot be read as an option or an expression."""
    if not NAME.fullmatch(name) or ".." in name or "@{" in name:
        raise RepoError(
            f"{shown(name)!r} is not the name of a branch or a commit", hint="use letters, digits, '-', '_', '.', '/'"
        )
    return name


def _commit(words: list[str]) -> Commit:
    sha, tree, parents, author, email, when, message = words
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=author,
        email=email,
        when=int(when),
        message=message.rstrip("\n"),
    )


def _file(entry: bytes) -> File:
    what, _, path = entry.partition(b"\t")
    mode, _kind, sha, size = what.decode().split()
    return File(text(path), mode, sha, int(size) if size.isdigit() else 0)


def _counts(entries: Sequence[bytes]) -> Iterator[tuple[str, tuple[str, str]]]:
    for entry in entries:
        if entry:
            added, removed, path = islice(entry.split(b"\t", 2), 3)
            yield text(path), (added.decode(), removed.decode())


def _change(what: str, path: str, counts: dict[str, tuple[str, str]]) -> Change:
    old_mode, mode, old, sha, status = what.lstrip(":").split()
    added, removed = counts.get(path, ("0", "0"))
    return Change(
        status=status[:1],
        path=path,
        added=int(added) if added.isdigit() else 0,
        removed=int(removed) if removed.isdigit() else 0,
        binary=added == "-",
        old_mode=old_mode,
        mode=mode,
        old=old,
        sha=sha,
    )
