"""The program: what was typed, to its exit status."""

from __future__ import annotations

import gc
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from nightmill.cli import quick
from nightmill.errors import EngineError, LimitReached, NightmillError, SpecError

if TYPE_CHECKING:
    from typer.exceptions import TyperException

__all__ = ["main"]

DONE, FAILED, REFUSED, PARKED, LIMIT = 0, 1, 2, 3, 4
"""Exit codes: done, failed, refused, parked for a person, stopped by a limit."""

ABORTED = 130

OBJECTS = 50_000
"""New objects between two looks for garbage: imports make hundreds of thousands, none of them garbage."""


def main() -> None:
    """Run the command line."""
    # pydantic would search all installed packages for plugins: 60 ms of each start, and code that nobody asked for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(OBJECTS)
    try:
        _run()
    except NightmillError as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.stderr.write("Aborted.\n")
        sys.exit(ABORTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except OSError as error:
        _broken(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    except Exception as error:
        # Known by name: to import it costs more than most commands.
        if type(error).__module__ != "sqlalchemy.exc":
            raise
        _broken(f"the store cannot be used: {getattr(error, 'orig', None) or error}")


def _run() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may be no text, terminals know few signs
    found = quick.read(sys.argv[1:])
    ended = _typed() if found is None else found()
    if not sys.stdout.closed:  # as by an editor that hung up
        sys.stdout.flush()
    sys.exit(ended)


def _typed() -> int:
    """What Typer reads of the line, done; the exit status."""
    from typer.exceptions import Abort, TyperException

    from nightmill.cli.commands import program

    try:
        status: int = program()(prog_name="nightmill", standalone_mode=False) or 0
    except TyperException as error:
        return _misread(error)
    except Abort as error:  # at a question
        raise KeyboardInterrupt from error
    return status


def _misread(error: TyperException) -> int:
    from nightmill.cli.screen import fail

    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} -h" if context else ""
    fail(NightmillError(f"{message[:1].lower()}{message[1:]}", hint=hint))
    return error.exit_code


def _fail(error: NightmillError) -> NoReturn:
    from nightmill.cli.screen import fail

    fail(error)
    sys.exit(REFUSED if isinstance(error, SpecError) else LIMIT if isinstance(error, LimitReached) else FAILED)


def _broken(message: str) -> NoReturn:
    try:
        sys.stdout.flush()
    except OSError:  # what did not fit is not tried again at the end
        with suppress(OSError):
            sys.stdout.close()
    _fail(EngineError(message, hint="is there space on the disk, and may you write there? see `nightmill doctor`"))
