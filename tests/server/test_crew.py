"""The crew: each role as one story, with what it is told as it was written, and how that came to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightmill import __version__, crew
from nightmill.crew import Memory, Note
from nightmill.crew.memory import Person
from nightmill.store import projects
from tests import whole
from tests.server.conftest import House, role
from tests.server.test_rooms import AUDITOR, HOSTILE, Shop, ran, shop, words

__all__ = ["shop"]

SECOND = AUDITOR.replace("writes: nothing", "writes: tests").replace(
    "Audit it.", "## Audit it *twice*.\n\n- [a](https://evil.example)"
)


def changed(shop: Shop, path: str, text: str, message: str) -> None:
    """Commit *text* as *path* of the project and bring it to its main branch."""
    (shop.root / path).write_text(text)
    whole.git(shop.root, "add", path)
    whole.git(shop.root, "commit", "-q", "-m", message, "--", path)
    hub = shop.house.door.hub(shop.project)
    hub.advance("main", hub.take(shop.root, "main"))


def test_the_crew_is_what_the_main_branch_has_with_what_each_did(shop: Shop) -> None:
    ran(shop, "r1")
    ran(shop, "r2", well=False)
    note = Note(
        project=shop.project, role="developer", run="r2", kind="claim", key="k", said="erred", quotes=(HOSTILE,), at=1.8e9
    )  # fmt: skip
    Memory(shop.house.door.settings.home).add(note, author=Person(name="Ada", email="ada@example.org"))
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        led = client.get("/crew")
        page = client.get(f"/crew/{shop.project}")
        story = client.get(f"/crew/{shop.project}/developer")
        unknown = client.get(f"/crew/{shop.project}/nobody").status_code

    assert led.headers["location"] == f"/crew/{shop.project}"
    text = words(page.text)
    assert "auditor" in text
    assert "intruder" not in text, "the checkout is not asked"
    assert "said yes to 1 of 2 changes" in text
    assert "1 of 2 runs, so 9% to 91%" in text, "Wilson 1927"
    assert "2 runs, 2 turns" in text
    assert "said that it was done, and the checks failed" in text
    assert "remembers 1 note" in text
    told = words(story.text)
    assert "2027-01-15 r2 claim: it erred:" in told
    assert f"From nightmill {__version__} ." in told
    assert "Make the smallest change that meets the criteria" in told
    assert unknown == 404
    for each in (page.text, story.text):
        assert "<script>alert" not in each
        assert "\u202e" not in each


def test_what_a_role_is_told_is_read_as_it_was_written_and_does_nothing(shop: Shop) -> None:
    changed(shop, ".nightmill/crew/auditor.md", SECOND, "Look twice")
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        page = client.get(f"/crew/{shop.project}/auditor").text

    assert '<p class="head h2">Audit it <em>twice</em>.' in page
    assert "[a](https://evil.example)" in page
    assert 'href="https://evil' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<b class="x">U+202E</b>' in page


def test_the_history_of_a_role_is_its_commits_and_what_differs_between_any_two(shop: Shop) -> None:
    changed(shop, ".nightmill/crew/auditor.md", SECOND, f"Look twice {HOSTILE}")
    changed(shop, ".nightmill/crew/auditor.md", SECOND + "Again.\n", "Look again")
    changed(shop, "calc.py", "", "Nothing of it")
    at = f"/crew/{shop.project}/auditor/history"
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        page = client.get(at).text
        last, second, first = dict.fromkeys(re.findall(r'<option value="(\w{40})"', page))
        whole_way = client.get(at, params={"before": first, "after": last}).text
        unknown = [client.get(at, params={"after": each}).status_code for each in ("0" * 40, "HEAD", "--all")]
    with shop.house.browser("bob@example.org", role("viewer", "barn")) as client:
        barred = client.get(at).status_code

    text = words(page)
    assert "Look again" in text
    assert "Nothing of it" not in text
    assert "<script>alert" not in page
    assert re.findall(r'<tr class="(add|cut)">.*?<code>(.*?)</code>', page) == [("add", "Again.")]
    assert second in page
    cut, added, *_ = re.findall(r'<tr class="(?:add|cut)">.*?<code>(.*?)</code>', whole_way)
    assert [re.sub("<.*?>", "", each) for each in (cut, added)] == ["writes: nothing", "writes: tests"]
    assert (unknown, barred) == ([404] * 3, 404)


def test_the_history_of_a_role_goes_on_where_its_file_was_renamed_and_not_into_another_file(shop: Shop) -> None:
    changed(shop, ".nightmill/crew/auditor.md", f"{AUDITOR}\nLook twice.\n", "Look twice")
    changed(shop, ".nightmill/crew/another.md", AUDITOR.replace("name: auditor", "name: other"), "Another role")
    whole.git(shop.root, "mv", ".nightmill/crew/auditor.md", ".nightmill/crew/a*r.md")
    whole.git(shop.root, "commit", "-q", "-m", "Rename it", "--", ".nightmill/crew")
    changed(shop, ".nightmill/crew/a*r.md", f"{AUDITOR}\nLook three times.\n", "Look more")
    at = f"/crew/{shop.project}/auditor/history"
    with shop.house.browser("ada@example.org", role("viewer", shop.project)) as client:
        page = client.get(at).text
        last, renamed, twice, first = dict.fromkeys(re.findall(r'<option value="(\w{40})"', page))
        across = client.get(at, params={"before": twice, "after": last}).text
        same = client.get(at, params={"before": twice, "after": renamed}).text

    assert [each in words(page) for each in ("Look more", "Rename it", "Look twice")] == [True] * 3
    assert "Another role" not in page
    assert "as .nightmill/crew/auditor.md" in words(page)
    assert re.findall(r'<tr class="(add|cut)">.*?<code>(.*?)</code>', across) == [
        ("cut", "Look t<em>wice</em>."),
        ("add", "Look t<em>hree times</em>."),
    ]
    assert "Nothing: they are the same." in same
    assert first in page


def test_a_role_of_the_release_or_of_a_project_in_its_place_is_compared_with_what_is_shipped(shop: Shop) -> None:
    shipped = crew.shipped()["nightmill/crew/roles/reviewer.md"]
    changed(shop, ".nightmill/crew/reviewer.md", f"{shipped}\nAnd be kind.\n", "Be kind")
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        own = words(client.get(f"/crew/{shop.project}/reviewer/history").text)
        ours = words(client.get(f"/crew/{shop.project}/developer/history").text)

    assert f"as nightmill {__version__} ships it" in own
    assert "+2" in own
    assert "And be kind." in own
    assert f"as nightmill {__version__} ships it" in ours
    assert "nothing to compare it with" in ours


@pytest.mark.parametrize("committed", [True, False])
def test_the_operators_role_has_the_history_of_the_repository_that_it_lies_in(shop: Shop, *, committed: bool) -> None:
    home: Path = shop.house.door.settings.home
    (home / "crew").mkdir()
    file = home / "crew/clerk [x].md"
    file.write_text("---\nname: clerk\ndescription: Files things.\n---\nFile it.\n")
    if committed:
        whole.git(home, "init", "-q", "-b", "main")
        whole.git(home, "add", "crew")
        whole.git(home, "commit", "-q", "-m", "A clerk")
        file.write_text(file.read_text() + "Twice.\n")
    with shop.house.browser("ada@example.org", role("viewer")) as client:
        text = words(client.get(f"/crew/{shop.project}/clerk/history").text)

    assert "as it lies in the operator's home" in text.replace("&#39;", "'")
    assert ("A clerk" in text) is committed
    assert ("+1" in text) is committed
    assert ("nothing to compare it with" in text) is not committed


def test_a_project_that_has_no_roles_of_its_own_has_the_shipped_ones(house: House, tmp_path: Path) -> None:
    projects.keep(house.door.database, projects.Known(id="new", root=tmp_path, hub=tmp_path / "none.git", added=1.0))
    with house.browser("ada@example.org", role("viewer")) as client:
        assert "It did nothing yet" in client.get("/crew/new").text
        assert "Nothing yet in new" in client.get("/crew/new/qa").text
        assert client.get("/crew/new/qa/history").status_code == 200
