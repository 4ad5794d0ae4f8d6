"""A ledger being written, turn by turn, with its blobs: what the tests of the page and the timeline read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from nightmill import event as e
from nightmill.agent.nouns import TurnRecord
from nightmill.model import Message, ModelReply, Text, Thinking, ToolCall, ToolResult, Usage
from nightmill.report import Told
from nightmill.review import CheckResult, Verdict

START = 1_790_000_000.0
records = TypeAdapter(TurnRecord)


def sha(text: str, size: int = 40) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:size]


@dataclass
class Call:
    """A tool call of a turn, with what came of it."""

    name: str
    arguments: dict[str, Any] | str
    label: str
    result: str = ""
    seconds: float = 0.1
    ok: bool = True


@dataclass
class Telling:
    """A ledger that is being written, and its blobs."""

    run: str
    role: str = "developer"
    model: str = "claude-sonnet-5"
    at: float = START
    entries: list[Told] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    turn: int = 0
    filled: int = 9_400
    first_seq: int = 4_117

    def wait(self, seconds: float) -> None:
        self.at += seconds

    def tell(self, noun: type[e.Event], /, **fields: Any) -> None:
        seq = self.first_seq + len(self.entries)
        self.entries.append(Told(seq, self.at, noun(run=self.run, **fields), sha(f"{self.run}/{seq}", 64)))

    def keep(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.blobs[digest] = body
        return digest

    def blob(self, digest: str) -> bytes:
        return self.blobs[digest]

    def begin(self) -> None:
        """The next turn is asked for."""
        self.turn += 1
        self.again()

    def again(self) -> None:
        self.again_as(self.turn)

    def again_as(self, turn: int) -> None:
        """The turn number *turn* is asked for, whichever is under way."""
        request = sha(f"request {turn}", 64)
        self.tell(e.TurnStarted, turn=turn, role=self.role, model=self.model, request=request)

    def reply(self, *, first: float, seconds: float, output: int) -> None:
        self.wait(seconds)
        self.tell(e.ReplyReceived, turn=self.turn, first_seconds=first, seconds=seconds, output_tokens=output)

    def call(self, number: int, call: Call, *, ends: bool = True) -> None:
        name = f"call_{self.turn}_{number}"
        self.tell(e.ToolStarted, turn=self.turn, call=name, tool=call.name, label=call.label)
        self.wait(call.seconds)
        if ends:
            self.tell(
                e.ToolFinished,
                turn=self.turn,
                call=name,
                tool=call.name,
                ok=call.ok,
                label=call.label,
                seconds=call.seconds,
            )

    def finish(
        self, calls: list[Call], *, text: str = "", thinking: str = "", first: float, seconds: float, output: int,
        edited: tuple[str, ...] = (), fresh: int = 900, reuse: bool = True,
    ) -> None:  # fmt: skip
        """The turn's record is kept and its checkpoint told."""
        parts: list[Any] = [Thinking(text=thinking)] if thinking else []
        parts += [Text(text=text)] if text else []
        results = []
        for number, each in enumerate(calls):
            name = f"call_{self.turn}_{number}"
            raw = each.arguments if isinstance(each.arguments, str) else json.dumps(each.arguments)
            parts.append(ToolCall(id=name, name=each.name, arguments=raw))
            results.append(ToolResult(call=name, name=each.name, text=each.result, error=not each.ok))
        cached = self.filled if reuse and self.turn > 1 else 0
        total = self.filled + fresh
        usage = Usage(
            input=total,
            cache_read=cached,
            cache_write=max(total - cached - 40, 0),
            output=output,
            reasoning=len(thinking) // 4,
        )
        self.filled = total + output
        cost = round((total - cached) * 3.75e-6 + cached * 0.3e-6 + output * 15e-6, 6)
        reply = ModelReply(
            parts=tuple(parts),
            stop="tools" if calls else "end",
            usage=usage,
            model=self.model,
            cost=cost,
            first_seconds=first,
            seconds=seconds,
        )
        messages = [Message(role="assistant", parts=tuple(parts))]
        if results:
            messages.append(Message(role="user", parts=tuple(results)))
        record = TurnRecord(turn=self.turn, reply=reply, messages=tuple(messages), edited=edited, changed=bool(edited))
        self.tell(
            e.TurnFinished,
            turn=self.turn,
            role=self.role,
            model=self.model,
            record=self.keep(records.dump_json(record)),
            snapshot=sha(f"snapshot {self.turn if edited or (calls and calls[-1].name == 'run_command') else 0}", 24),
            usage=asdict(usage),
            cost=cost,
            calls=len(calls),
            seconds=round(seconds + sum(each.seconds for each in calls), 3),
        )
        self.wait(0.012)

    def take(self, *calls: Call, first: float = 0.8, seconds: float = 3.0, output: int = 180, **more: Any) -> None:
        """A whole turn without trouble."""
        self.begin()
        self.reply(first=first, seconds=seconds, output=output)
        for number, each in enumerate(calls):
            self.call(number, each)
        self.finish(list(calls), first=first, seconds=seconds, output=output, **more)

    def check(self, result: CheckResult, output: str, *, proof: int) -> None:
        self.wait(result.seconds)
        digest = self.keep(output.encode("utf-8", "surrogatepass"))
        plain = asdict(result) | {"output": digest}
        self.tell(
            e.CheckFinished,
            round=proof,
            check=result.check,
            tree=result.tree,
            passed=result.passed,
            result=json.loads(json.dumps(plain)),
            output=digest,
        )

    def judge(self, verdict: Verdict, *, proof: int) -> None:
        plain = json.loads(json.dumps(asdict(verdict)))
        self.tell(e.VerdictGiven, round=proof, tree=verdict.tree, passed=verdict.passed, verdict=plain)
