"""The text that macOS would be given. No Mac has run it: these tests read it, and a small parser stands in for Scheme's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox.backends.seatbelt import MACOS, Mac, profile

WORK = Path("/Users", "someone", "nightmill", "runs", "1", "upper")
TMP = Path("/private/tmp/nightmill-0123456789ab")

TOKEN = re.compile(r'\s*(?:(?P<open>\()|(?P<close>\))|#?"(?P<text>(?:[^"\\\n]|\\.)*)"|(?P<word>[a-z0-9*-]+))')

Form = str | tuple["Form", ...]

KNOWN = {
    "version", "deny", "allow", "default", "subpath", "literal", "regex", "global-name", "local", "remote", "ip", "target",
    "same-sandbox", "require-all", "extension", "1", "process-fork", "process-exec", "process-info*", "signal",
    "sysctl-read", "pseudo-tty", "mach-lookup", "network-outbound", "network-inbound", "network-bind", "file-read-metadata",
    "file-read*", "file-write*", "file-write-data", "file-write-setugid", "file-ioctl",
}  # fmt: skip
"""Words of the language that may stand outside strings."""


class Text(str):
    """A string of the profile, unescaped."""

    __slots__ = ()


def parsed(text: str) -> list[Form]:
    """Its forms; ValueError if it is not balanced, or holds what is neither word nor string."""
    stack: list[list[Form]] = [[]]
    at, text = 0, text.rstrip()
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"at {at}: {text[at : at + 40]!r}")
        at = token.end()
        if token["open"]:
            stack.append([])
        elif token["close"]:
            if len(stack) == 1:
                raise ValueError("it closes what was not opened")
            done = tuple(stack.pop())
            stack[-1].append(done)
        elif token["word"]:
            stack[-1].append(token["word"])
        else:
            stack[-1].append(Text(re.sub(r"\\(.)", r"\1", token["text"])))
    if len(stack) > 1:
        raise ValueError("something is not closed")
    return stack[0]


def words(form: Form) -> set[str]:
    """All that is no string."""
    if isinstance(form, tuple):
        return {word for each in form for word in words(each)}
    return set() if isinstance(form, Text) else {form}


def rules(mac: Mac) -> list[tuple[str, set[str], set[Form]]]:
    """Allow or deny, the operations, and what they are about."""
    found = []
    for form in parsed(profile(mac))[1:]:
        assert isinstance(form, tuple)
        assert form[0] in {"allow", "deny"}
        about = {each for each in form[1:] if isinstance(each, tuple)}
        found.append((str(form[0]), {str(each) for each in form[1:] if not isinstance(each, tuple)}, about))
    return found


def about(mac: Mac, operation: str) -> set[Form]:
    """What *operation* is allowed with."""
    return set().union(
        *(found for what, operations, found in rules(mac) if what == "allow" and operation in operations)
    )


PLACES = {
    "nothing": Mac(writable=(WORK, TMP)),
    "network": Mac(writable=(WORK, TMP), port=3128),
    "services": Mac(writable=(WORK, TMP), port=3128, loopback=True),
}


@pytest.mark.parametrize("name", PLACES)
def test_it_is_a_balanced_text_of_known_words_that_denies_before_it_allows(name: str) -> None:
    forms = parsed(profile(PLACES[name]))

    assert forms[:2] == [("version", "1"), ("deny", "default")]
    assert all(isinstance(form, tuple) and form[0] in {"allow", "deny"} for form in forms[2:])
    assert words(tuple(forms)) <= KNOWN
    assert rules(PLACES[name])[-1][:2] == ("deny", {"file-write-setugid"})
    unbounded = set().union(
        *(operations for what, operations, found in rules(PLACES[name]) if what == "allow" and not found)
    )
    assert unbounded == {"process-fork", "sysctl-read", "file-read-metadata", "pseudo-tty"}


def test_only_its_folders_two_devices_and_its_own_terminals_can_be_written() -> None:
    mac = PLACES["services"]
    folders = {("subpath", str(WORK)), ("subpath", str(TMP))}
    terminals = {
        ("literal", "/dev/ptmx"),
        ("require-all", ("regex", "^/dev/ttys[0-9]+$"), ("extension", "com.apple.sandbox.pty")),
    }

    assert about(mac, "file-write*") == folders | terminals
    assert about(mac, "file-write-data") == {("literal", "/dev/null"), ("literal", "/dev/zero")}
    assert not any("ttys" in str(each) for each in about(mac, "file-ioctl") - terminals)


def test_no_home_and_no_secret_of_the_machine_can_be_read() -> None:
    read = {each[1] for each in about(PLACES["services"], "file-read*") if each[0] == "subpath"}

    for secret in (
        str(Path("/Users", "someone", ".ssh")),
        "/Volumes/x",
        "/private/var/folders/x",
        "/Library/Keychains",
        "/private/etc/master.passwd",
    ):
        assert not [each for each in read if f"{secret}/".startswith(f"{each}/")], secret
    assert ("literal", "/private/etc/master.passwd") not in about(PLACES["services"], "file-read*")


def test_there_is_no_network_but_the_proxys_port_and_with_services_this_macs_own() -> None:
    assert "network" not in profile(PLACES["nothing"])
    assert about(PLACES["network"], "network-outbound") == {("remote", "ip", "localhost:3128")}
    assert not about(PLACES["network"], "network-inbound")
    assert ("remote", "ip", "localhost:*") in about(PLACES["services"], "network-outbound")
    assert '"*:' not in profile(PLACES["services"])


@pytest.mark.parametrize("path", ['/a") (allow default', "/a\\b", "/a\\", '/"', "/a b(c)", "/ü;#|x", "/a'b"])
def test_whatever_a_path_holds_it_stays_one_string(path: str) -> None:
    mac = Mac(writable=(Path(path),), shown=(Path(path) / "shown",))

    assert ("subpath", path) in about(mac, "file-write*")
    assert ("subpath", f"{path.rstrip('/')}/shown") in about(mac, "file-read*")
    assert len(rules(mac)) == len(rules(Mac(writable=(WORK,))))
    assert words(tuple(parsed(profile(mac)))) <= KNOWN


@pytest.mark.parametrize("path", ["/a\nb", "relative", "/a/../b", "/a\x00", "/a\x7f", "/a\u2028b"])
def test_a_path_that_no_line_of_text_holds_is_refused(path: str) -> None:
    for mac in (Mac(writable=(Path(path),)), Mac(writable=(WORK,), shown=(Path(path),))):
        with pytest.raises(SandboxError, match="Seatbelt"):
            profile(mac)


def test_the_parser_of_these_tests_refuses_what_is_not_whole() -> None:
    for broken in ("(allow", "(allow))", '(allow (literal "/a))', "(allow 'x)", '(literal "a\nb")'):
        with pytest.raises(ValueError, match=r"at \d|not"):
            parsed(broken)


def test_the_programs_are_the_systems_own() -> None:
    assert MACOS.wall == ("/usr/bin/sandbox-exec", "-f")
    assert MACOS.clone[:2] == ("/bin/cp", "-c")
