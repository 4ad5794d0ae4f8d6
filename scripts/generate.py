"""Write what is made from the code into docs/: the reference, the table of attacks, the drawing of the house.

`python -m scripts.generate` writes; tests/house fails when what is committed is not what would be written.
"""

from __future__ import annotations

from pathlib import Path

from scripts import attacks, drawing, reference

__all__ = ["ROOT", "files"]

ROOT = Path(__file__).parent.parent


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    pages = {ROOT / "docs/reference" / name: text for name, text in reference.pages().items()}
    pages[ROOT / "docs/reference/attacks.md"] = reference.NOTE + attacks.page().rstrip() + "\n"
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
