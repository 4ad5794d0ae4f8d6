"""A blueprint's inputs, filled from the ask's own words, and checked. What was not said is never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from nightmill.blueprint.nouns import Blueprint, Input
from nightmill.blueprint.values import misfit
from nightmill.errors import SettingsError
from nightmill.intake.nouns import Missing, Surroundings
from nightmill.intake.words import TOKEN, URL, lexicon, quoted, stem, unquoted

__all__ = ["fill", "filled", "given", "missing"]

VERSION = re.compile(
    r"(?<![\w.])v?(\d+(?:\.\d+){0,3}(?:[-.+]?(?:a|b|rc|alpha|beta|dev|post)[.\d]*)?)(?![\w%])", re.IGNORECASE
)
NUMBER = re.compile(r"(?:#|\bissue\s+|\bpr\s+|\bpull request\s+|\bnr\.?\s*|\bno\.?\s*)(\d{1,9})\b", re.IGNORECASE)
BECAUSE = re.compile(r"\b((?:because|so that|weil|damit)\s+\S.*)$", re.IGNORECASE | re.DOTALL)
JOB = re.compile(r"\bjob\s+(?:[\"“„`«]([^\"“”`»\n]{1,200})[\"“”`»])", re.IGNORECASE)


def fill(blueprint: Blueprint, words: str, around: Surroundings) -> dict[str, Any]:
    """What *words*, cleaned, give for the inputs of *blueprint*, by the names and types of these."""
    found: dict[str, Any] = {}
    for name, each in blueprint.inputs.items():
        value = _value(name, each, words, around, found)
        if value is not None and not misfit(value, each):
            found[name] = value
    return found


def missing(blueprint: Blueprint, inputs: Mapping[str, Any], words: str, around: Surroundings) -> tuple[Missing, ...]:
    """A question for each input that is needed and not there."""
    return tuple(
        Missing(name=name, asks=each.doc or name, why=_why(name, words, around), choices=each.choices)
        for name, each in blueprint.inputs.items()
        if each.needed and name not in inputs
    )


def given(blueprint: Blueprint, said: Iterable[str]) -> dict[str, Any]:
    """The inputs that *said* sets, each as NAME=VALUE, typed as the blueprint has them.

    Raises:
        SettingsError: If there is no such input, or the value does not fit it.
    """
    found: dict[str, Any] = {}
    for each in said:
        name, equals, text = each.partition("=")
        if not equals or name not in blueprint.inputs:
            known = ", ".join(blueprint.inputs) or "none"
            raise SettingsError(
                f"{each!r} sets no input of {blueprint.name}", hint=f"its inputs: {known}; --set NAME=VALUE"
            )
        found[name] = _typed(blueprint.inputs[name], text)
    return dict(_checked(blueprint, found))


def filled(blueprint: Blueprint, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """*inputs* with the defaults of what was not given: what a run of *blueprint* starts with.

    Raises:
        SettingsError: If one is missing, unknown or does not fit.
    """
    unknown = [name for name in inputs if name not in blueprint.inputs]
    if unknown:
        raise SettingsError(
            f"{blueprint.name} has no input {unknown[0]!r}", hint=f"it has: {', '.join(blueprint.inputs)}"
        )
    lacking = [name for name, each in blueprint.inputs.items() if each.needed and name not in inputs]
    if lacking:
        raise SettingsError(f"{blueprint.name} needs its input {lacking[0]!r}", hint=f"give it: --set {lacking[0]}=…")
    checked = _checked(blueprint, inputs)
    return {name: checked.get(name, each.default) for name, each in blueprint.inputs.items()}


def _checked(blueprint: Blueprint, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in inputs.items():
        if why := misfit(value, blueprint.inputs[name]):
            raise SettingsError(f"the input {name!r} of {blueprint.name} is {value!r}", hint=why)
    return inputs


def _typed(wanted: Input, text: str) -> Any:
    if wanted.type == "boolean" and text.casefold() in TRUTH:
        return TRUTH[text.casefold()]
    if wanted.type == "list" and not text.lstrip().startswith(("[", "{")):
        return [each.strip() for each in text.split(",") if each.strip()]
    if wanted.type in {"number", "list", "object"}:
        try:
            return json.loads(text)
        except ValueError:
            return text  # it is said to fit nothing
    return text


TRUTH = {"yes": True, "true": True, "ja": True, "1": True, "no": False, "false": False, "nein": False, "0": False}


# What an ask gives


def _value(name: str, wanted: Input, words: str, around: Surroundings, found: Mapping[str, Any]) -> Any:
    if wanted.choices:
        named = [each for each in wanted.choices if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", words, re.IGNORECASE)]
        return named[0] if len(named) == 1 else None
    if name in BY_NAME:
        return BY_NAME[name](words, around, found)
    if wanted.type in BY_TYPE:
        return BY_TYPE[wanted.type](words, around, name)
    if not wanted.needed or wanted.pattern:
        return None
    return words


def _package(words: str, around: Surroundings, _: Mapping[str, Any]) -> str | None:
    named = dict.fromkeys(around.packages[each] for each in _bare(words) if each in around.packages)
    return next(iter(named)) if len(named) == 1 else None


def _bare(words: str) -> list[str]:
    """Tokens as lock files write names; a version behind it is cut off."""
    return [re.split(r"[=<>~!]=?|(?<=.)@", each.strip("\"'`,.;:()"))[0].casefold() for each in words.split()]


def _version(words: str, _: Surroundings, found: Mapping[str, Any]) -> str | None:
    """The one version that is named, none of whose digits are part of the package's name."""
    rest = words.replace(str(found.get("package", "\0")), " ")
    named = list(dict.fromkeys(VERSION.findall(re.sub(r"#\d+|CVE-[\d-]+", " ", rest))))
    return named[0] if len(named) == 1 else None


def _because(words: str, _: Surroundings, __: Mapping[str, Any]) -> str | None:
    said = BECAUSE.search(words)
    return said[1].strip() if said else None


def _job(words: str, _: Surroundings, __: Mapping[str, Any]) -> str | None:
    said = JOB.search(words)
    return said[1].strip() if said else None


def _log(words: str, _: Surroundings, __: Mapping[str, Any]) -> str | None:
    long = [each for each in quoted(words) if "\n" in each]
    return "\n\n".join(long) or None


def _number(words: str, _: Surroundings, __: object = None) -> int | None:
    named = dict.fromkeys(NUMBER.findall(words))
    return int(next(iter(named))) if len(named) == 1 else None


def _url(words: str, _: Surroundings, __: object = None) -> str | None:
    named = dict.fromkeys(each.rstrip(".,;:!?") for each in URL.findall(words))
    return next(iter(named)) if len(named) == 1 else None


def _path(words: str, around: Surroundings, _: object = None) -> str | None:
    named = dict.fromkeys(each for each in _tokens(words) if each in around.paths)
    return next(iter(named)) if len(named) == 1 else None


def _paths(words: str, around: Surroundings, name: str) -> list[str] | None:
    if "path" in name or "file" in name:
        return [*dict.fromkeys(each for each in _tokens(words) if each in around.paths)] or None
    return None


def _truth(words: str, _: Surroundings, name: str) -> bool | None:
    """Whether the ask names it, and if it does, whether it wants it."""
    said = [stem(each) for each in TOKEN.findall(unquoted(words).casefold())]
    wanted = [stem(each) for each in name.split("_")]
    at = next((at for at in range(len(said)) if said[at : at + len(wanted)] == wanted), None)
    return None if at is None else not (set(said[max(0, at - 2) : at]) & lexicon().negation)


def _tokens(words: str) -> list[str]:
    return [each.strip("\"'`,;:()").rstrip(".").removeprefix("./") for each in words.split()]


BY_NAME: dict[str, Callable[[str, Surroundings, Mapping[str, Any]], Any]] = {
    "package": _package,
    "version": _version,
    "because": _because,
    "job": _job,
    "log": _log,
    "issue": _number,
    "pr": _number,
    "pull_request": _number,
    "url": _url,
}
"""Inputs whose name says what they are."""
BY_TYPE: dict[str, Callable[[str, Surroundings, str], Any]] = {
    "path": _path,
    "number": _number,
    "boolean": _truth,
    "list": _paths,
    "object": lambda *_: None,
}


def _why(name: str, words: str, around: Surroundings) -> str:
    if name != "package":
        return ""
    if not around.packages:
        return "no lock file was found that names packages"
    named = [each for each in _bare(words) if each in around.packages]
    if named:
        return f"several are named: {', '.join(dict.fromkeys(named))}"
    unlike = [
        each for each in _bare(words) if each and stem(each) not in lexicon().means and stem(each) not in lexicon().stop
    ]
    near = [hit for each in unlike for hit in get_close_matches(each, around.packages, n=2, cutoff=0.8)]
    return "no package of the lock files is named" + (
        f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else ""
    )
