"""How commands are explained: by what they are for, whole sentences, and arguments as the reference writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["PARTS", "Plain", "Program", "Whole", "explain"]

PARTS = {
    "Begin": ("doctor", "init", "spec", "run", "ask", "demo"),
    "Decide": ("waiting", "approve", "refuse", "answer", "prs", "pr", "task"),
    "Look": ("runs", "show", "log", "attach", "plan", "compare", "requests", "notes", "budget"),
    "Step in": ("say", "pause", "resume", "cancel", "rewind", "sandbox"),
    "Set up": ("settings", "env", "blueprint", "crew", "policy", "distil", "secret"),
    "For others and for programs": ("serve", "worker", "person", "token", "webhook", "mcp", "acp"),
    "Keep": ("backup", "restore", "ledger"),
}
"""Every command, below what somebody who looks for it wants to do."""


class Plain(TyperCommand):
    """A command whose usage names its arguments as the reference does."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the line that says how it is called."""
        first, *arguments = super().collect_usage_pieces(ctx)
        return [first, *(argument.replace("{", "").replace("}", "").upper() for argument in arguments)]


class Whole(TyperGroup):
    """A group that says of each command a whole sentence; without one it says them all."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read *args*."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section of all commands."""
        self.section(formatter, "Commands", self.list_commands(ctx))

    def section(self, formatter: Any, title: str, names: Iterable[str]) -> None:
        """Write a section of the commands *names*."""
        rows = [(name, _sentence(self.commands[name].help or "")) for name in names]
        with formatter.section(title):
            formatter.write_dl(rows)


class Program(Whole):
    """The program: its commands stand below what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each of `PARTS`."""
        known = set(self.list_commands(ctx))
        for part, names in PARTS.items():
            self.section(formatter, part, [name for name in names if name in known])


def explain(app: typer.Typer) -> None:
    """Have all commands and groups of *app* explained so."""
    for command in app.registered_commands:
        command.cls = Plain
    for group in app.registered_groups:
        group.cls = Whole
        if group.typer_instance:
            explain(group.typer_instance)


def _sentence(text: str) -> str:
    """The first sentence of *text*."""
    return " ".join(text.split()).partition(". ")[0].removesuffix(".")
