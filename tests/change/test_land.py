"""Landing: whoever dies on the way, there is one commit, one branch and one pull request."""

from __future__ import annotations

import dataclasses
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nightmill import crew
from nightmill.change import Judged, Landed, Landing, Made, land
from nightmill.errors import EngineError, RepoError
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.store.database import Database

ADA = "Ada Approver <ada@example.org>"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a landing happens, in any process."""

    home: Path
    landing: Landing

    @property
    def hub(self) -> Hub:
        return Hub(self.home / "hub.git")

    def forge(self) -> LocalForge:
        database = Database.open(f"sqlite:///{self.home / 'store.sqlite'}")
        return LocalForge(database, lambda _: self.hub, clock=lambda: 1_700_000_500.0)

    def land(self, forge: LocalForge, **named: object) -> Landed:
        author = crew.identity("developer", home=self.home, domain="example.org")
        return land(dataclasses.replace(self.landing, **named), hub=self.hub, forge=forge, author=author)  # type: ignore[arg-type]


def tree_of(hub: Hub, body: bytes) -> str:
    blob = hub.must("hash-object", "-w", "--stdin", stdin=body).out.decode().strip()
    return hub.must("mktree", stdin=f"100644 blob {blob}\tapp.py\n".encode()).out.decode().strip()


@pytest.fixture
def place(tmp_path: Path, landing: Callable[..., Landing]) -> Place:
    """A hub with main, and work that came in from a sandbox and was proven."""
    hub = Hub(tmp_path / "hub.git")
    hub.create(signers=crew.signers(tmp_path))
    author = crew.identity("developer", home=tmp_path, domain="example.org")
    base = hub.commit(tree_of(hub, b"one\n"), parents=[], message="begin", author=author, when=1)
    hub.branch("main", base, expected_old="")
    tree = tree_of(hub, b"two\n")
    work = hub.commit(tree, parents=[base], message="whatever the agent called it", author=author, when=2)
    hub.ref("refs/nightmill/incoming/rabc1234-1", work, expected_old="")
    return Place(home=tmp_path, landing=landing(tree=tree, base=base))


@pytest.fixture
def forge(place: Place) -> Iterator[LocalForge]:
    made = place.forge()
    yield made
    made.database.close()


def test_a_proven_tree_becomes_a_signed_commit_a_branch_and_a_pull_request(place: Place, forge: LocalForge) -> None:
    landed = place.land(forge)
    assert place.land(forge) == landed
    assert landed.branch == "nightmill/say-hello-to-people-by-their-name-rabc1234-1"
    commit = place.hub.log(landed.branch)[0]
    assert (commit.sha, commit.tree, commit.parents) == (landed.commit, landed.tree, (place.landing.base,))
    assert (commit.author, commit.email) == ("nightmill developer", "developer@example.org")
    assert place.hub.verify(landed.commit, signers=crew.signers(place.home))
    (request,) = forge.all()
    assert (request.number, request.head, request.tree, request.target) == (1, landed.commit, landed.tree, "main")
    assert "`app.py` +1 \u22121" in request.body
    merged = forge.merge(project="shop", number=1, by=ADA)
    assert place.hub.tree(merged.merge_commit) == landed.tree
    assert place.land(forge) == landed


def test_what_is_not_proven_does_not_land(place: Place, forge: LocalForge) -> None:
    with pytest.raises(EngineError, match="did not pass"):
        place.land(forge, verdict=dataclasses.replace(place.landing.verdict, passed=False))
    with pytest.raises(EngineError, match="another tree"):
        place.land(forge, verdict=dataclasses.replace(place.landing.verdict, tree=place.hub.tree("main")))
    with pytest.raises(RepoError, match="no commit or tree"):
        place.land(
            forge, incoming="refs/nightmill/gone", verdict=dataclasses.replace(place.landing.verdict, tree="9" * 40)
        )
    assert forge.all() == []
    assert place.hub.run("for-each-ref", "refs/heads/nightmill").out == b""


def test_a_branch_that_is_somebody_elses_is_left_alone(place: Place, forge: LocalForge) -> None:
    name = "nightmill/say-hello-to-people-by-their-name-rabc1234-1"
    place.hub.branch(name, place.landing.base, expected_old="")
    with pytest.raises(RepoError, match="is at"):
        place.land(forge)
    assert place.hub.commit_of(name) == place.landing.base
    assert forge.all() == []


DIES = """
import os, pickle, signal, sys
from pathlib import Path
from nightmill import crew
from nightmill.change import land
from nightmill.forge.local import LocalForge
from nightmill.repo import Hub
from nightmill.repo.git import Git
from nightmill.store.database import Database

home, last = Path(sys.argv[1]), sys.argv[2]
landing = pickle.loads(Path(sys.argv[3]).read_bytes())

class Mortal(Git):
    '''Dies before or after one of the calls that change the repository.'''
    def run(self, call):
        writes = any(word in call.args for word in ("commit-tree", "update-ref"))
        step("before " + call.args[1]) if writes else None
        ran = super().run(call)
        step("after " + call.args[1]) if writes else None
        return ran

def step(name):
    if name == last:
        print(name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

class MortalForge(LocalForge):
    def open(self, request):
        step("before open")
        opened = super().open(request)
        step("after open")
        return opened

hub = Hub(home / "hub.git", git=Mortal())
forge = MortalForge(Database.open(f"sqlite:///{home / 'store.sqlite'}"), lambda _: hub, clock=lambda: 1.0)
land(landing, hub=hub, forge=forge, author=crew.identity("developer", home=home, domain="example.org"))
"""


STEPS = (
    "before commit-tree",
    "after commit-tree",
    "before update-ref",
    "after update-ref",
    "before open",
    "after open",
)


def test_a_worker_killed_anywhere_leaves_the_same_to_the_next(place: Place, forge: LocalForge) -> None:
    told = place.home / "landing"
    told.write_bytes(pickle.dumps(place.landing))
    for step in STEPS:
        command = [sys.executable, "-c", DIES, str(place.home), step, str(told)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.stdout, ran.returncode) == (f"{step}\n", -signal.SIGKILL), ran.stderr
    landed = place.land(forge)
    assert [request.head for request in forge.all()] == [landed.commit]
    refs = place.hub.must("for-each-ref", "--format=%(refname)", "refs/heads").out.decode().split()
    assert refs == ["refs/heads/main", f"refs/heads/{landed.branch}"]
    assert not list(place.hub.path.rglob("*.lock"))


def test_each_author_signs_what_they_made_and_none_of_them_merges_it(place: Place) -> None:
    hub, forge = place.hub, place.forge()
    qa = crew.identity("qa", home=place.home, domain="example.org")
    before = tree_of(hub, b"half\n")
    made = Made(author=qa, tree=before, summary="Tests that break it.")
    landed = place.land(forge, earlier=(made,))

    first, last = landed.commits
    assert [each["author"].partition("<")[2] for each in (first, last)] == ["qa@example.org>", "developer@example.org>"]
    assert hub.log(last["commit"], limit=1)[0].parents == (first["commit"],)
    assert hub.tree(first["commit"]) == before
    for each in landed.commits:
        assert hub.verify(each["commit"], signers=crew.signers(place.home))
    for mail in ("qa@example.org", "DEVELOPER@example.org"):
        with pytest.raises(RepoError, match="is not the one who may merge it"):
            forge.merge(project="shop", number=landed.number, by=f"Somebody <{mail}>")


def test_a_pull_request_says_who_judged_it_and_what_is_left_to_a_person(place: Place) -> None:
    forge = place.forge()
    hostile = "<!-- hidden --> | ![x](http://x) @everyone"
    judged = (
        Judged(role="reviewer", approved=True),
        Judged(role="qa", approved=False, findings=(("major", "app.py:3", hostile),)),
    )
    landed = place.land(forge, reviews=judged, asks=(f"it changes tests ({hostile})",))

    body = forge.get(project="shop", number=landed.number).body
    assert "`reviewer` ✓ approves: nothing found" in body
    assert "`qa` ✗ does not approve" in body
    assert "## For whoever merges it" in body
    outside = "".join(re.split(r"`[^`\n]*`", body))
    assert "<!--" not in outside
    assert "![x]" not in outside
