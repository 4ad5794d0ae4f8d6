"""The owner's own checkout: looked at, never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import EngineError, RepoError
from nightmill.repo.git import HOST, Call, Git, Ran, text

__all__ = ["Checkout", "inspect", "tracked"]

PROGRAMS = re.compile(
    r"filter\..+\.(?:clean|smudge|process)|diff\..+\.(?:command|textconv)|merge\..+\.driver", re.IGNORECASE
)
PARTIAL = re.compile(r"extensions\.partialclone|remote\..*\.promisor", re.DOTALL)
REMOTE = re.compile(r"remote\..*", re.DOTALL)
REQUIRED = re.compile(r"filter\..+\.required", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A repository as its owner has it.

    Paths are text with lone surrogates for bytes that are not UTF-8 (`repo.shown` makes them printable).

    Attributes:
        root: Real path of the work tree.
        head: Commit that is checked out.
        branch: Its branch, "" if *detached*.
        dirty: Tracked paths that differ from *head*, staged or not; untracked files are not looked at.
        submodules: Paths of submodules in *head*; work does not go into them.
        remote: Name of the branch's remote, or "origin" if there is one, or "".
        format: Object format, "sha1" or "sha256".
    """

    root: Path
    head: str
    branch: str
    detached: bool
    dirty: tuple[str, ...]
    submodules: tuple[str, ...]
    remote: str
    format: str


def inspect(path: Path, *, git: Git = HOST, home: Path | None = None, branch: str = "") -> Checkout:
    """Look at the repository around *path* without taking a lock or running a hook.

    With *home* the user's own git configuration counts (safe.directory, filters of git-lfs); programs that the
    repository itself configures never run, so that files it filters may be called dirty.

    Raises:
        RepoError: If no work can start from it, or not from its *branch* ("": whichever it is on); the hint says what
            its owner can do.
    """
    look = _Look(path, git, home)
    if not path.is_dir():
        raise RepoError(f"there is no folder {str(path)!r}", hint="name a folder inside a git repository")
    root = look.root()
    look.must_be_whole()
    head = look.head()
    look.must_have(branch)
    branch = look.line("symbolic-ref", "--quiet", "--short", "HEAD", absent="")
    return Checkout(
        root=root,
        head=head,
        branch=branch,
        detached=not branch,
        dirty=look.dirty(),
        submodules=look.submodules(),
        remote=look.remote(branch),
        format=look.format,
    )


def tracked(root: Path, *, git: Git = HOST, home: Path | None = None) -> list[str]:
    """The files of the checkout at *root* that git knows, in no commit yet included. Nothing is run.

    Raises:
        RepoError: If it cannot be read.
    """
    look = _Look(root, git, home)
    look.root()
    return [text(name) for name in look.must("ls-files", "-z").out.split(b"\0") if name]


class _Look:
    """Questions to git in one folder."""

    def __init__(self, folder: Path, git: Git, home: Path | None) -> None:
        self.folder, self.git, self.home = folder, git, home
        self.muted: tuple[str, ...] = ()
        self.named: frozenset[str] = frozenset()
        self.shallow, self.format = False, ""

    def root(self) -> Path:
        """Where the work tree begins; from here on questions are asked there."""
        asked = ("--is-bare-repository", "--is-inside-work-tree", "--is-shallow-repository", "--show-object-format")
        ran = self.run("rev-parse", *asked, "--show-toplevel")
        # The last one is refused where there is no work tree, after the others were answered.
        bare, inside, shallow, self.format, *top = [*text(ran.out).split("\n", 4), "", "", ""][:5]
        if bare == "true":
            raise RepoError(
                f"{str(self.folder)!r} is a bare repository", hint="name a checkout: git clone it and start there"
            )
        if inside == "false":
            raise RepoError(f"{str(self.folder)!r} is inside a .git folder", hint="name the folder beside .git")
        if ran.exit:
            raise self.refusal(ran)
        self.shallow = shallow == "true"
        self.folder = Path(top[0].removesuffix("\n"))
        self.muted = self.mute()
        return self.folder

    def must_be_whole(self) -> None:
        """A hub cannot be filled from a clone that lacks history or contents."""
        if self.shallow:
            raise RepoError(f"{str(self.folder)!r} is a shallow clone", hint="git fetch --unshallow")
        if any(PARTIAL.fullmatch(name) for name in self.named):
            raise RepoError(f"{str(self.folder)!r} is a partial clone", hint="clone it again without --filter")

    def must_have(self, branch: str) -> None:
        """Work starts from a branch that is here; remote ones are for `git switch` first."""
        if branch and self.run("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}").exit:
            raise RepoError(f"{str(self.folder)!r} has no branch {branch!r}", hint="`git branch` lists those there are")

    def head(self) -> str:
        """The commit that is checked out."""
        ran = self.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if ran.exit == 0:
            return text(ran.out).strip()
        branch = self.line("symbolic-ref", "--quiet", "--short", "HEAD", absent="")
        if not branch:
            raise RepoError(f"HEAD of {str(self.folder)!r} names no commit", hint="git fsck; then check out a branch")
        if self.run("for-each-ref", "--count=1", "refs/heads").out:
            raise RepoError(
                f"the branch {branch!r} of {str(self.folder)!r} has no commit yet", hint="check out a branch that has"
            )
        raise RepoError(f"{str(self.folder)!r} has no commits", hint="git add . && git commit")

    def dirty(self) -> tuple[str, ...]:
        """Tracked paths that differ; of a submodule only the commit is compared, because its own git would run."""
        ran = self.must(
            "status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames"
        )
        return tuple(text(entry[3:]) for entry in ran.out.split(b"\0") if entry)

    def submodules(self) -> tuple[str, ...]:
        """Paths of commits in the tree."""
        entries = self.must("ls-tree", "-r", "-z", "--full-tree", "HEAD").out.split(b"\0")
        return tuple(text(entry.partition(b"\t")[2]) for entry in entries if entry.startswith(b"160000 "))

    def remote(self, branch: str) -> str:
        """The remote's name; its address may hold a password and is not read."""
        if not any(REMOTE.fullmatch(name) for name in self.named):
            return ""
        own = self.line("config", "--get", f"branch.{branch}.remote", absent="") if branch else ""
        names = text(self.must("remote").out).split("\n")
        return own if own in names else "origin" if "origin" in names else ""

    def mute(self) -> tuple[str, ...]:
        """Settings that take away the programs which the repository configures; the user's own stay.

        The names of all settings are kept.
        """
        ran = self.must("config", "--list", "--show-scope", "--name-only", "-z")
        words = text(ran.out).split("\0")
        self.named = frozenset(words[1::2])
        found = {name for scope, name in zip(words[::2], words[1::2], strict=False) if scope in {"local", "worktree"}}
        muted = [f"{name}=" for name in sorted(found) if PROGRAMS.fullmatch(name)]
        return (*muted, *(f"{name}=false" for name in sorted(found) if REQUIRED.fullmatch(name)))

    def line(self, *args: str, absent: str | None = None) -> str:
        """One line of answer; *absent* stands for a non-zero exit."""
        if absent is None:
            return text(self.must(*args).out).removesuffix("\n")
        ran = self.run(*args)
        return absent if ran.exit else text(ran.out).removesuffix("\n")

    def must(self, *args: str) -> Ran:
        """An answer that has to come."""
        ran = self.run(*args)
        if ran.exit or ran.cut:
            raise self.refusal(ran)
        return ran

    def run(self, *args: str) -> Ran:
        """Ask git, without lazy fetches and with what `mute` found switched off."""
        home = self.home or Path("/nonexistent")
        settings = ("protocol.file.allow=never", *self.muted)
        try:
            return self.git.run(Call(args=args, folder=self.folder, home=home, settings=settings))
        except PermissionError as error:
            raise RepoError(
                f"{str(self.folder)!r} cannot be read: {error.strerror}", hint="change its permissions"
            ) from error
        except EngineError as error:
            raise RepoError(
                f"{error.message} in {str(self.folder)!r}", hint="run `git status` there and see why"
            ) from error

    def refusal(self, ran: Ran) -> RepoError:
        """What git's own refusal means to the owner."""
        where = str(self.folder)
        if "not a git repository" in ran.error:
            return RepoError(f"{where!r} is not in a git repository", hint="git init && git add . && git commit")
        if "dubious ownership" in ran.error or "unsafe repository" in ran.error:
            return RepoError(
                f"{where!r} belongs to another user, so git does not trust it",
                hint=f"if you do: git config --global --add safe.directory {where}",
            )
        return RepoError(f"git cannot read {where!r}: {ran.error or 'no reason given'}", hint="run `git fsck` there")
