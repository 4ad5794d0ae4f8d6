"""The projects: what they are made of and how to build them. Takes: a repository. Gives: Project."""

from __future__ import annotations

from nightmill.estate import agreed
from nightmill.estate.baseline import definition
from nightmill.estate.baseline import make as make_baseline
from nightmill.estate.detect import detect
from nightmill.estate.environment import BUNDLE, Base, Site, base, parcel, place, variables
from nightmill.estate.file import identify, load
from nightmill.estate.found import Detected, Finding
from nightmill.estate.init import Initialised, initialise
from nightmill.estate.install import prepare
from nightmill.estate.nouns import Environment, Project, Service

__all__ = [
    "BUNDLE",
    "Base",
    "Detected",
    "Environment",
    "Finding",
    "Initialised",
    "Project",
    "Service",
    "Site",
    "agreed",
    "base",
    "definition",
    "detect",
    "identify",
    "initialise",
    "load",
    "make_baseline",
    "parcel",
    "place",
    "prepare",
    "variables",
]
