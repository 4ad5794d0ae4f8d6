"""The scripted model without a script: each reply is worked out from the conversation that it is sent.

python -m bench.consensus.model PEOPLE.json LOG
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from bench.consensus.people import People
from bench.consensus.play import reply
from bench.stage import SCRIPTED


def main() -> None:
    sys.path.insert(0, str(SCRIPTED.parent))
    scripted: Any = importlib.import_module("scripted_model")
    people = People(**json.loads(Path(sys.argv[1]).read_text()))

    class Player(scripted.Player):  # type: ignore[misc] # the program is not part of this repository
        """Says what the role would."""

        def _turn(self, req: Any, role: Any, track: Any, index: int, log: dict[str, Any]) -> Any:  # noqa: ARG002
            try:
                return scripted.Turn.parse(reply(req.system, req.messages, people))
            except Exception as error:
                raise scripted.ApiError("invalid", f"{type(error).__name__}: {error}") from error

    parser = scripted._parser()  # noqa: SLF001
    options = parser.parse_args(["--port", "0", "--grace", "0", "--log", sys.argv[2]])
    delivery = scripted.Delivery("auto", 400, 0.0, 0.0, 0.0, 200_000)
    player = Player(scripted.Script.parse([]), scripted.Play(), delivery)
    asyncio.run(scripted.Server(player, scripted.Options.of(options)).run())


if __name__ == "__main__":
    main()
