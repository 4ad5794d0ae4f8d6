"""The runner as one compiled program, made by the Python that will run it."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nightmill.errors import SandboxError
from nightmill.sandbox.seccomp import MACHINES, compile_filter

__all__ = ["Interpreter", "interpreter", "own", "program", "source", "unwalled"]

MODULES = ("gate", "keeper", "files", "job", "lasting", "terminal", "dialogue", "relay", "ahead", "rest", "runner")

COMPILER = """
import marshal, sys
import importlib.util
if sys.version_info < (3, 8):
    sys.exit("it is older than 3.8")
sources = marshal.loads(sys.stdin.buffer.read())
parts = [(name, compile(text, name, "exec", dont_inherit=True, optimize=2)) for name, text in sources]
main = '''
import marshal, sys
for name, code in marshal.loads(%r):
    sys.modules[name] = module = type(sys)(name)
    exec(code, module.__dict__)
module.start(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[2]), sys.executable, *sys.argv[3:])
''' % marshal.dumps(parts)
code = compile(main, "runner", "exec", dont_inherit=True, optimize=2)
sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
"""

TEXT = """
import sys
if sys.version_info < (3, 8):
    sys.exit("python3 is older than 3.8")
for name, text in %r:
    sys.modules[name] = module = type(sys)(name)
    exec(compile(text, name, "exec", dont_inherit=True, optimize=2), module.__dict__)
module.start(%s)
"""


class Interpreter(NamedTuple):
    """A Python that can run inside: its path there, the folder to show there if it is not in /usr, and which that is."""

    path: str
    prefix: str = ""
    source: str = ""


@lru_cache(maxsize=1)
def interpreter() -> Interpreter:
    """The host's own Python 3.8 or newer; else the one that runs this, with its folder."""
    system = Path("/usr/bin/python3")
    if system.is_file():
        asked = [str(system), "-I", "-S", "-c", "import sys, _ctypes; sys.exit(sys.version_info < (3, 8))"]
        if subprocess.run(asked, env={}, capture_output=True, check=False).returncode == 0:
            return Interpreter(path=str(system))
    return own()


def own() -> Interpreter:
    """The Python that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Interpreter(path=f"{sys.base_prefix}/bin/python{version}", prefix=sys.base_prefix, source=sys.base_prefix)


@lru_cache(maxsize=1)
def program() -> bytes:
    """The bytes of a `.pyc` that is the runner.

    Compiling the source at every start would double the time until a sandbox answers; bytecode is only good for
    the version that made it, so that one is asked, once per process.

    Raises:
        SandboxError: If the interpreter that is to run inside cannot compile it.
    """
    import marshal  # noqa: PLC0415 - needed only here

    sources = _sources(*MODULES)
    path = interpreter().path
    done = subprocess.run(
        [path, "-I", "-S", "-c", COMPILER], input=marshal.dumps(sources, 2), env={}, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise SandboxError(
            f"{path!r} cannot compile the runner: {said}", hint="install Python 3.8 or newer as /usr/bin/python3"
        )
    return done.stdout


@lru_cache(maxsize=1)
def source() -> str:
    """The runner as Python text for a container, whose Python nobody here can ask; it takes 15 ms more to start.

    It talks over its standard input and output, and loads the system call filter itself: the engine's own stays.
    """
    filters = {machine: compile_filter(machine) for machine in MACHINES}
    return TEXT % (_sources(*MODULES, "ferry", "container"), repr(filters))


def unwalled() -> str:
    """The runner as Python text for a system without namespaces; its argument is the descriptor of the lifeline."""
    return TEXT % (_sources(*MODULES, "ferry", "container", "session"), "int(sys.argv[1])")


def _sources(*names: str) -> list[tuple[str, str]]:
    here = Path(__file__).parent / "inside"
    return [(f"nightmill.sandbox.inside.{name}", (here / f"{name}.py").read_text("utf-8")) for name in names]
