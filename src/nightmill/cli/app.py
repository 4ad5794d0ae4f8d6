"""The commands. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import os
import sys
from functools import cache
from typing import Annotated, NoReturn

import typer

from nightmill.errors import LimitReached, NightmillError, SpecError

__all__ = ["app", "main"]

DONE, FAILED, REFUSED, PARKED, LIMIT = 0, 1, 2, 3, 4
"""Exit codes: done, failed, refused, parked for a person, stopped by a limit."""

app = typer.Typer(
    name="nightmill",
    help="Specs in, reviewed pull requests out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    # pydantic would search all installed packages for plugins: 60 ms of each start, and code that nobody asked for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may be no text, terminals know few signs
    _register()
    try:
        app()
    except NightmillError as error:
        from nightmill.cli.screen import fail

        fail(error)
        sys.exit(REFUSED if isinstance(error, SpecError) else LIMIT if isinstance(error, LimitReached) else FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except OSError as error:
        _broken(f"{error.filename or 'a file'}: {error.strerror or error}")
    except Exception as error:
        # Known by name: to import it costs more than most commands.
        if type(error).__module__ != "sqlalchemy.exc":
            raise
        _broken(f"the store cannot be used: {getattr(error, 'orig', None) or error}")


def _broken(message: str) -> NoReturn:
    from nightmill.cli.screen import fail
    from nightmill.errors import EngineError

    fail(EngineError(message, hint="is there space on the disk, and may you write there? see `nightmill doctor`"))
    sys.exit(FAILED)


@app.callback(invoke_without_command=True)
def _start(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from nightmill import __version__

        typer.echo(f"nightmill {__version__}")
        raise typer.Exit


@cache
def _register() -> None:
    """Once: what is registered again is built again for each call."""
    from nightmill.cli import budget, demo, env, machine, notes, project, pulls, requests, runs, sandbox, work

    for module in (project, env, work, runs, budget, requests, notes, pulls, sandbox, machine, demo):
        module.register(app)
