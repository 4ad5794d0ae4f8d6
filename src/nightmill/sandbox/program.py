"""The runner as one compiled program, made by the Python that will run it."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nightmill.errors import SandboxError

__all__ = ["Interpreter", "interpreter", "program"]

MODULES = ("keeper", "files", "job", "relay", "runner")

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
module.start(int(sys.argv[1]))
''' % marshal.dumps(parts)
code = compile(main, "runner", "exec", dont_inherit=True, optimize=2)
sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
"""


class Interpreter(NamedTuple):
    """A Python that can run inside: its path there, and the host folder to show there, if it is not in /usr."""

    path: str
    prefix: str


@lru_cache(maxsize=1)
def interpreter() -> Interpreter:
    """The host's own Python 3.8 or newer; else the one that runs this, with its folder."""
    system = Path("/usr/bin/python3")
    if system.is_file():
        asked = [str(system), "-I", "-S", "-c", "import sys, _ctypes; sys.exit(sys.version_info < (3, 8))"]
        if subprocess.run(asked, env={}, capture_output=True, check=False).returncode == 0:  # noqa: S603 - fixed words
            return Interpreter(path=str(system), prefix="")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Interpreter(path=f"{sys.base_prefix}/bin/python{version}", prefix=sys.base_prefix)


@lru_cache(maxsize=1)
def program() -> bytes:
    """The bytes of a `.pyc` that is the runner.

    Compiling the source at every start would double the time until a sandbox answers; bytecode is only good for
    the version that made it, so that one is asked, once per process.

    Raises:
        SandboxError: If the interpreter that is to run inside cannot compile it.
    """
    import marshal  # noqa: PLC0415 - needed only here

    here = Path(__file__).parent / "inside"
    sources = [(f"nightmill.sandbox.inside.{name}", (here / f"{name}.py").read_text("utf-8")) for name in MODULES]
    path = interpreter().path
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [path, "-I", "-S", "-c", COMPILER], input=marshal.dumps(sources, 2), env={}, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise SandboxError(
            f"{path!r} cannot compile the runner: {said}", hint="install Python 3.8 or newer as /usr/bin/python3"
        )
    return done.stdout
