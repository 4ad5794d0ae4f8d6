"""The bare repository of the local forge: the only one that nightmill writes to."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from nightmill.errors import EngineError, RepoError, SandboxError, SettingsError
from nightmill.repo import parcel
from nightmill.repo.git import Call, Ran, shown, text
from nightmill.repo.history import ID, History, safe
from nightmill.repo.lock import held, holding

__all__ = ["Author", "Hub", "Merge"]

EMPTY_TREES = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
NOTHING = re.compile(r"0*")
MERGES = (2, 38)


class Author(Protocol):
    """Who a commit names. With a *key* (an SSH private key) it is signed."""

    @property
    def name(self) -> str:
        """As it is shown."""
        ...

    @property
    def email(self) -> str:
        """The address."""
        ...

    @property
    def key(self) -> Path | None:
        """Private key, None for an unsigned commit."""
        ...


class Merge(NamedTuple):
    """What a merge would give: a tree, or the paths that *conflicts* names."""

    tree: str
    conflicts: tuple[str, ...]


class Hub(History):
    """A bare repository that obeys nobody's configuration but its own.

    Every writing method holds one lock across processes; take `locked` around several to make them one step.
    Refs: refs/heads are the forge's branches, refs/owner what the owner's checkout had, refs/nightmill/… what runs
    brought. All methods block: call them from a thread.
    """

    def create(self, *, branch: str = "main", format: str = "sha1", signers: Path | None = None) -> None:
        """Make the repository, whole or not at all; an existing one is left as it is.

        *signers* is the OpenSSH allowed signers file by which `git verify-commit` judges signatures here.
        """
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        try:
            args = (
                "init",
                "--quiet",
                "--bare",
                "--template=",
                f"--object-format={format}",
                f"--initial-branch={safe(branch)}",
            )
            self._expect("init", self.git.run(Call(args=(*args, str(made)))))
            # A bare repository reads attributes from its HEAD (git 2.43): an agent could hide files from diffs.
            settings = {"attr.tree": EMPTY_TREES[format], "gc.auto": "0", "core.hooksPath": os.devnull}
            settings |= {"gpg.ssh.allowedSignersFile": str(signers)} if signers else {}
            for name, value in settings.items():
                self._expect("config", self.git.run(Call(args=(f"--git-dir={made}", "config", name, value))))
            made.rename(self.path)
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            if not self.path.exists():
                raise EngineError(f"{str(self.path)!r} cannot be made: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    def settle(self, *, signers: Path) -> None:
        """Take this repository, which came from elsewhere, for one of ours: its configuration is written anew.

        What the old one said is nothing to obey: it names programs that git starts.
        """
        said = self.git.run(Call(args=(f"--git-dir={self.path}", "rev-parse", "--show-object-format")))
        self._expect("rev-parse", said)
        made = type(self)(self.path.with_name(f".{self.path.name}.config"))
        try:
            made.create(format=text(said.out).strip(), signers=signers)
            (made.path / "config").replace(self.path / "config")
        finally:
            shutil.rmtree(made.path, ignore_errors=True)

    @contextmanager
    def locked(self, *, seconds: float = 120.0) -> Iterator[None]:
        """Be the only writer. Lock files of a git that was killed are removed: who made them is dead.

        Raises:
            EngineError: If another writer did not let go for *seconds*.
        """
        with held(self.lock, sweep=self._sweep, seconds=seconds):
            yield

    def take(self, root: Path, name: str) -> str:
        """Copy a branch, "HEAD" or a commit of the owner's checkout *root* here and return the commit.

        It is kept as refs/owner/heads/… or refs/owner/commits/…; no branch of the forge moves.

        Raises:
            RepoError: If the checkout does not have it whole.
        """
        fixed = ID.fullmatch(name) is not None
        kept = f"refs/owner/commits/{name}" if fixed else f"refs/owner/heads/{safe(name).replace('/', '%2F')}"
        wanted = name if fixed or name == "HEAD" else f"refs/heads/{name}"
        with self.locked(), tempfile.TemporaryDirectory() as folder:
            # Whether a folder of another user is trusted was asked by `inspect`, with the owner's configuration; this
            # file serves the one call that reads *root*, and of it only the side that git itself hardens.
            trust = Path(folder, "config")
            trust.write_text("[safe]\n\tdirectory = *\n", encoding="ascii")
            ran = self._fetch(root, f"+{wanted}:{kept}", trust)
            if ran.exit:
                raise _untaken(root, name, ran)
            return self.commit_of(kept)

    def advance(self, branch: str, commit: str) -> str:
        """Let *branch* of the forge follow the owner's *commit*, forwards only, and return its tip.

        A branch that is already ahead stays: merges here that the owner has not pulled yet.

        Raises:
            RepoError: If the two have diverged.
        """
        with self.locked():
            tip = self.resolve(f"refs/heads/{branch}")
            if tip is not None and self.contains(commit=tip, ancestor=commit):
                return tip
            if tip is not None and not self.contains(commit=commit, ancestor=tip):
                raise RepoError(
                    f"{branch!r} of the checkout and of the hub have gone different ways ({commit[:12]}, {tip[:12]})",
                    hint=f"in the checkout: git pull --no-rebase {self.path} {branch}",
                )
            self.branch(branch, commit, expected_old=tip or "")
            return commit

    def branch(self, name: str, commit: str, *, expected_old: str) -> None:
        """Move the branch *name* from *expected_old* ("": it must not exist) to *commit*, or refuse.

        Raises:
            RepoError: If it is somewhere else, or the name cannot be a branch.
        """
        self.ref(f"refs/heads/{safe(name)}", commit, expected_old=expected_old)

    def ref(self, name: str, commit: str, *, expected_old: str) -> None:
        """Move any ref, as `branch` does; *commit* "" deletes it.

        Raises:
            RepoError: If it is somewhere else, or the name cannot be a ref.
        """
        if self.run("check-ref-format", safe(name)).exit:
            raise RepoError(
                f"{shown(name)!r} is not a name that git takes for a branch", hint="use letters, digits, '-', '/'"
            )
        zero = "0" * len(commit or expected_old)
        with self.locked():
            ran = self.run("update-ref", "--create-reflog", name, commit or zero, expected_old or zero)
            if ran.exit:
                now = self.resolve(name)
                raise RepoError(
                    f"{name} is at {now or 'nothing'}, not at {expected_old or 'nothing'}: {ran.error}",
                    hint="somebody else moved it; look at it and try again",
                )

    def bundle(self, target: Path, *, tips: Mapping[str, str], exclude: Sequence[str] = ()) -> None:
        """Write *target*: a bundle of *tips* (commits by their ref in it) without what *exclude* reaches.

        Raises:
            EngineError: If git or the disk fails; no *target* is left then.
        """
        unfinished = target.with_name(f".{target.name}.part")
        try:
            with unfinished.open("wb") as file:
                parcel.pack(self, file, tips=tips, exclude=exclude)
            unfinished.chmod(0o644)  # it is shown in sandboxes, whose user may be another; the folder is shut
            unfinished.replace(target)
        except OSError as error:
            raise EngineError(f"the bundle {str(target)!r} cannot be written: {error.strerror}") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def receive(self, bundle: Path, ref: str, *, limit: int) -> str:
        """Take in what a sandbox made: check every object of *bundle*, set *ref* to its one commit, return that.

        Nothing of a refused bundle stays. *bundle* itself is only read, and only if it is a regular file.

        Raises:
            SandboxError: If it is not a bundle of one sound, complete commit.
            LimitReached: If it is larger than *limit* bytes.
        """
        with parcel.opened(bundle, limit=limit) as file, tempfile.TemporaryFile() as copy, self.locked():
            # Read once: what still runs in the sandbox could change it between two readings.
            shutil.copyfileobj(file, copy)
            if copy.tell() > limit:
                raise SandboxError(f"the bundle {bundle.name!r} grew while it was read")
            copy.seek(0)
            head = parcel.header(copy)
            parcel.admit(self, copy, head, limit=limit)
            self.ref(ref, head.commit, expected_old=self.resolve(ref) or "")
            return head.commit

    def commit(self, tree: str, *, parents: Sequence[str], message: str, author: Author, when: int) -> str:
        """Make a commit that no ref points to yet. Same arguments, same id: Ed25519 signatures do not vary.

        *when* is in Unix seconds.

        Raises:
            SettingsError: If the key cannot sign.
        """
        date = f"@{when} +0000"
        env = {f"GIT_{who}_{part}": value for who in ("AUTHOR", "COMMITTER") for part, value in _person(author, date)}
        settings: tuple[str, ...] = ("i18n.commitEncoding=utf-8",)
        args = ["commit-tree", *(part for parent in parents for part in ("-p", safe(parent))), "-F", "-"]
        if author.key is not None:
            settings = (*settings, "gpg.format=ssh", f"user.signingKey={author.key}")
            args.append("-S")
        body = message.replace("\0", "").encode("utf-8", "replace")
        with self.locked():
            call = Call(
                args=(f"--git-dir={self.path}", *args, safe(tree)),
                settings=settings,
                env=env,
                stdin=body,
                keep=holding(self.lock),
            )
            ran = self.git.run(call)
        if ran.exit and author.key is not None:
            raise SettingsError(
                f"the key {str(author.key)!r} does not sign: {ran.error}", hint="is ssh-keygen (OpenSSH ≥ 8.2) there?"
            )
        self._expect("commit-tree", ran)
        return text(ran.out).strip()

    def with_file(self, tree: str, path: str, body: bytes) -> str:
        """The tree that *tree* ("": an empty one) is with *body* as its file *path*.

        Raises:
            EngineError: If *path* cannot be one there.
        """
        with self.locked(), tempfile.TemporaryDirectory() as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            blob = text(self.must("hash-object", "-w", "--stdin", stdin=body).out).strip()
            for args in (
                ("read-tree", safe(tree) if tree else "--empty"),
                ("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"),
                ("write-tree",),
            ):
                ran = self.git.run(Call(args=(f"--git-dir={self.path}", *args), env=env, keep=holding(self.lock)))
                self._expect(args[0], ran)
        return text(ran.out).strip()

    def merged_tree(self, target: str, head: str) -> Merge:
        """The tree that merging *head* into *target* gives. No attribute chooses how files are merged.

        Raises:
            RepoError: If the two have no common past.
            SettingsError: If both have moved and this git cannot merge without a checkout.
        """
        into, what = self.commit_of(target), self.commit_of(head)
        if self.contains(commit=what, ancestor=into):
            return Merge(self.tree(what), ())
        if self.git.version() < MERGES:
            raise SettingsError(
                f"{target!r} has moved on and this git cannot merge beside it", hint="install git 2.38 or newer"
            )
        with self.locked():
            ran = self.run("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", into, what)
        if "unrelated histories" in ran.error:
            raise RepoError(f"{target!r} and {head!r} have no common commit", hint="was the branch rewritten?")
        if ran.exit not in {0, 1}:
            raise self.failure("merge-tree", ran)
        tree, *paths = [text(word) for word in ran.out.split(b"\0") if word]
        return Merge(tree, tuple(dict.fromkeys(paths)) if ran.exit else ())

    def _fetch(self, root: Path, refspec: str, trust: Path) -> Ran:
        options = ("--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
        call = Call(
            args=(f"--git-dir={self.path}", "fetch", *options, text(os.fsencode(root.absolute())), refspec),
            env={"GIT_CONFIG_GLOBAL": str(trust)},
            seconds=900,
            keep=holding(self.lock),
        )
        return self.git.run(call)

    def _sweep(self) -> None:
        """Remove what a killed git left; only called while nobody else can be at work."""
        for pattern in (
            "*.lock",
            "refs/**/*.lock",
            "objects/pack/tmp_*",
            "objects/??/tmp_obj_*",
            "objects/info/**/*.lock",
        ):
            for stale in self.path.glob(pattern):
                stale.unlink(missing_ok=True)
        for stale in (*self.path.glob("objects/incoming-*"), *self.path.glob("objects/tmp_objdir-*")):
            shutil.rmtree(stale, ignore_errors=True)

    def _expect(self, verb: str, ran: Ran) -> None:
        if ran.exit:
            raise self.failure(verb, ran)


def _person(author: Author, date: str) -> tuple[tuple[str, str], ...]:
    plain = [re.sub(r"[\x00-\x1f\x7f<>]+", " ", part).strip() for part in (author.name, author.email)]
    return ("NAME", plain[0] or "unknown"), ("EMAIL", plain[1]), ("DATE", date)


def _untaken(root: Path, name: str, ran: Ran) -> RepoError:
    hints = {
        "couldn't find remote ref": "does the branch exist there? see `git branch`",
        "not our ref": "does the commit exist there? see `git log`",
        "shallow": "git fetch --unshallow",
        "mismatched algorithms": "the checkout's object format changed; remove the project and add it again",
    }
    hint = next((advice for sign, advice in hints.items() if sign in ran.error), "run `git fsck` there")
    why = ran.error.splitlines()[0] if ran.error else "no reason given"
    return RepoError(f"{name!r} cannot be taken from {str(root)!r}: {why}", hint=hint)
