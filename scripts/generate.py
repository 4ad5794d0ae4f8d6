"""Write what is made from the code into docs/: the reference, the table of attacks, the drawing of the house.

`python -m scripts.generate` writes; tests/house fails when what is committed is not what would be written.
"""

from __future__ import annotations

import json
from pathlib import Path

from nightmill import crew
from nightmill.blueprint import cases, schema
from nightmill.blueprint.catalogue import Catalogue
from nightmill.blueprint.draw import svg
from nightmill.blueprint.shelves import shipped
from nightmill.estate import shape
from nightmill.line.process import functions
from scripts import attacks, drawing, reference

__all__ = ["ROOT", "files"]

ROOT = Path(__file__).parent.parent


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    pages = {ROOT / "docs/reference" / name: text for name, text in reference.pages().items()}
    pages[ROOT / "docs/reference/attacks.md"] = reference.NOTE + attacks.page().rstrip() + "\n"
    pages[ROOT / "docs/reference/nightmill.schema.json"] = (
        json.dumps(shape.schema(), indent=2, ensure_ascii=False) + "\n"
    )
    pages[ROOT / "docs/reference/blueprint.schema.json"] = json.dumps(schema(), indent=2) + "\n"
    pages[ROOT / "docs/reference/blueprint.test.schema.json"] = json.dumps(cases.schema(), indent=2) + "\n"
    catalogue = Catalogue([shipped()], {role.name: role for role in crew.find().roles}, functions.SIGNATURES)
    for name in catalogue.entries:
        pages[ROOT / f"docs/images/blueprints/{name}.svg"] = svg(catalogue.get(name))
    return {**pages, ROOT / "docs/concepts/house.svg": drawing.draw()}


def main() -> None:
    """Write the files that would change, and say which."""
    for path, text in files().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
