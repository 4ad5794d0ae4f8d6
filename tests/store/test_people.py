"""Who is let in, by what, and until when: nothing that was ended, used, replaced or outlived opens anything again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from nightmill.access import ACTS, Grant, Person
from nightmill.errors import SettingsError
from nightmill.store import Database, projects
from nightmill.store.keys import DAY, IDLE, SESSION, Keys
from nightmill.store.people import INVITED, People

ADA, ROOT = "ada@example.org", "Root <root@example.org>"
ADMIN = Grant(role="admin")
ISSUER = "https://login.example.org"


class Door:
    """People and keys at the time that a test sets."""

    def __init__(self, database: Database) -> None:
        self.now = 1_000_000.0
        self.people = People(database, lambda: self.now)
        self.keys = Keys(database, lambda: self.now, known=self.people.known)
        self.let_in("root@example.org", ADMIN)

    def let_in(self, address: str, *grants: Grant) -> Person:
        person = self.redeem(self.people.invite(address, grants=grants, by=ROOT))
        assert person is not None
        return person

    def redeem(self, secret: str) -> Person | None:
        return self.people.redeem(secret, name="Somebody", password="hash")

    def token(self, owner: Person, *, seconds: float = DAY, scopes: Any = ("view",)) -> str:
        return self.keys.make("ci", owner=owner, scopes=scopes, seconds=seconds)


def there(door: Door, project: str) -> None:
    nowhere = Path("/nowhere")
    projects.keep(door.people.database, projects.Known(id=project, root=nowhere, hub=nowhere, added=1.0))


@pytest.fixture
def door(database: Database) -> Door:
    return Door(database)


def test_a_session_ends_at_its_time_and_before_if_nobody_uses_it(door: Door) -> None:
    door.let_in(ADA)
    idle, used = door.keys.begin(ADA), door.keys.begin(ADA)
    began = door.now

    door.now = began + IDLE - 1
    assert door.keys.shows(used, "session")
    door.now = began + IDLE + 1
    assert door.keys.shows(idle, "session") is None
    while door.now < began + SESSION - 1:
        assert door.keys.shows(used, "session")
        door.now = min(door.now + IDLE - 60, began + SESSION - 1)
    assert door.keys.shows(used, "session")
    door.now = began + SESSION
    assert door.keys.shows(used, "session") is None


def test_a_token_ends_at_its_time_however_much_it_is_used(door: Door) -> None:
    token = door.token(door.let_in(ADA), seconds=10 * DAY)
    assert [each.name for each in door.keys.tokens(ADA)] == ["ci"]

    door.now += 10 * DAY - 1
    assert door.keys.shows(token, "token")
    door.now += 1
    assert door.keys.shows(token, "token") is None
    assert door.keys.tokens(ADA) == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, 367 * DAY, float("inf"), float("nan")])
def test_no_token_is_good_for_ever(door: Door, seconds: float) -> None:
    with pytest.raises(SettingsError, match="a year at most"):
        door.token(door.let_in(ADA), seconds=seconds)
    assert door.keys.tokens(ADA) == []


def test_what_one_thing_is_for_no_other_thing_is_taken_for(door: Door) -> None:
    ada = door.let_in(ADA)
    shown = {
        "session": door.keys.begin(ADA),
        "token": door.token(ada),
        "attempt": door.keys.attempt("/runs"),
        "invitation": door.people.invite(ADA, by=ROOT),
    }
    kinds: tuple[Literal["session", "token"], ...] = ("session", "token")

    opened = {(kind, name) for kind in kinds for name, secret in shown.items() if door.keys.shows(secret, kind)}
    assert opened == {("session", "session"), ("token", "token")}
    assert {name for name, secret in shown.items() if door.people.invited(secret)} == {"invitation"}
    assert [name for name in ("session", "token", "attempt") if door.redeem(shown[name])] == []
    assert {name for name, secret in shown.items() if door.keys.attempted(secret)} == {"attempt"}
    assert door.keys.attempted(shown["attempt"]) is None, "once"


def test_an_invitation_is_good_once_for_a_while_and_only_the_newest(door: Door) -> None:
    first, second = (door.people.invite(ADA, by=ROOT) for _ in range(2))
    assert (door.people.invited(first), door.people.invited(second)) == ("", ADA)
    assert door.redeem(first) is None
    assert door.redeem(second)
    assert door.redeem(second) is None

    third = door.people.invite(ADA, by=ROOT)
    door.now += INVITED
    assert door.people.invited(third) == ""
    assert door.redeem(third) is None
    assert door.people.welcome(ISSUER, "ada-1", address=ADA, name="Ada") is None


def test_of_many_who_use_an_invitation_at_once_one_comes_in(door: Door) -> None:
    secret, attempt = door.people.invite(ADA, by=ROOT), door.keys.attempt("/")

    with ThreadPoolExecutor(8) as pool:
        came = list(pool.map(lambda _: door.redeem(secret), range(16)))
        back = list(pool.map(lambda _: door.keys.attempted(attempt), range(16)))

    assert sum(each is not None for each in came) == 1
    assert sum(each is not None for each in back) == 1


def test_who_is_invited_again_has_no_session_and_no_identity_of_before(door: Door) -> None:
    door.let_in(ADA)
    session, token = door.keys.begin(ADA), door.token(door.let_in(ADA))
    door.people.bind(ISSUER, "ada-1", address=ADA)

    door.let_in(ADA)

    assert door.keys.shows(session, "session") is None
    assert door.people.welcome(ISSUER, "ada-1", address=ADA, name="Ada") is None
    assert door.keys.shows(token, "token"), "programs go on, and the list of tokens shows which"


def test_who_was_shut_out_and_is_let_in_again_begins_with_nothing(door: Door) -> None:
    ada = door.let_in(ADA, ADMIN)
    session, token, invitation = door.keys.begin(ADA), door.token(ada), door.people.invite(ADA, by=ROOT)
    door.people.bind(ISSUER, "ada-1", address=ADA)

    door.people.remove(ADA, by=ROOT)
    assert (door.keys.shows(session, "session"), door.keys.shows(token, "token")) == (None, None)
    assert door.redeem(invitation) is None
    assert door.people.welcome(ISSUER, "ada-1", address=ADA, name="Ada") is None

    again = door.let_in(ADA)
    assert again.grants == ()
    assert (door.keys.shows(session, "session"), door.keys.shows(token, "token")) == (None, None)
    assert door.people.welcome(ISSUER, "ada-1", address=ADA, name="Ada") is None


def test_a_token_may_what_its_owner_may_now_within_its_scopes(door: Door) -> None:
    ada = door.let_in(ADA, ADMIN)
    token = door.token(ada, scopes=("operate", "view"))
    there(door, "shop")
    door.people.grant(ADA, "", [], by=ROOT)
    door.people.grant(ADA, "shop", ["approver"], by=ROOT)

    shown = door.keys.shows(token, "token")

    assert shown
    may = [(act, project) for act in ACTS for project in ("shop", "barn", "")
           if shown.may(act, project)]  # fmt: skip
    assert may == [("view", "shop")]
    assert (shown.projects("view"), shown.projects("approve")) == (frozenset({"shop"}), frozenset())


def test_nobody_is_given_a_role_in_a_project_that_is_not_there(door: Door) -> None:
    door.let_in(ADA)
    with pytest.raises(SettingsError, match="there is no project 'shpo'"):
        door.people.invite("eve@example.org", grants=[Grant(role="viewer", project="shpo")], by=ROOT)
    for roles in ([], ["admin"]):
        with pytest.raises(SettingsError, match="there is no project 'shpo'"):
            door.people.grant(ADA, "shpo", roles, by=ROOT)
    door.people.regrant(ADA, {"shpo": ["admin"], "": ["viewer"]}, by=ISSUER)

    there(door, "shpo")

    assert door.people.find("eve@example.org") is None
    assert [each.grants for each in door.people.everybody() if each.address == ADA] == [(Grant(role="viewer"),)]


def test_who_is_invited_is_listed_until_when_and_as_what_and_is_not_let_in(door: Door) -> None:
    secret = door.people.invite(ADA, grants=[Grant(role="viewer")], by=ROOT)
    door.people.grant(ADA, "", ["operator"], by=ROOT)
    (found,) = (each for each in door.people.everybody() if each.address == ADA)
    assert (found.invited, found.added, found.grants) == (door.now + INVITED, 0.0, (Grant(role="operator"),))
    assert (found.let_in, door.people.known(ADA)) == (False, None)

    door.people.remove(ADA, by=ROOT)
    assert (door.redeem(secret), door.people.find(ADA)) == (None, None)

    door.people.invite(ADA, by=ROOT)
    door.now += INVITED
    assert door.people.find(ADA) is None
    for change in (lambda: door.people.grant(ADA, "", ["admin"], by=ROOT), lambda: door.people.remove(ADA, by=ROOT)):
        with pytest.raises(SettingsError, match=ADA):
            change()


def test_what_an_invitation_gave_that_nobody_used_is_not_in_the_next(door: Door) -> None:
    there(door, "shop")
    door.people.invite(ADA, grants=[ADMIN, Grant(role="admin", project="shop")], by=ROOT)
    door.now += INVITED

    assert door.let_in(ADA, Grant(role="viewer")).grants == (Grant(role="viewer"),)
    again = door.let_in(ADA, Grant(role="approver", project="shop"))
    assert again.grants == (Grant(role="viewer"), Grant(role="approver", project="shop")), (
        "who is in keeps what they have"
    )
