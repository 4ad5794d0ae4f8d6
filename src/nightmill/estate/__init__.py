"""The projects: what they are made of and how to build them. Takes: a repository. Gives: Project."""

from __future__ import annotations

from nightmill.estate import agreed
from nightmill.estate.baseline import definition
from nightmill.estate.baseline import make as make_baseline
from nightmill.estate.detect import detect
from nightmill.estate.environment import BUNDLE, Base, Site, base, parcel, place
from nightmill.estate.file import identify, load
from nightmill.estate.found import Detected
from nightmill.estate.init import initialise
from nightmill.estate.install import prepare
from nightmill.estate.nouns import Environment, Project, Service

__all__ = [
    "BUNDLE",
    "Base",
    "Detected",
    "Environment",
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
]
