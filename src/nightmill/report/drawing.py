"""Templates as every page of ours has them: all that is placed is escaped, and its unseen signs are shown."""

from __future__ import annotations

from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from nightmill import __version__
from nightmill.report import charts, rows, svg, words
from nightmill.report.avatar import avatar, mill, sign
from nightmill.report.hours import hours
from nightmill.report.night import dial, stretch
from nightmill.report.text import one_line, plain, spoken, visible
from nightmill.review import flake

__all__ = ["environment"]


def environment(*loaders: BaseLoader) -> Environment:
    """The templates of *loaders*, and those of this room, of which a page may import parts."""
    made = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("nightmill.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "text": visible,
        "spoken": spoken,
        "duration": words.duration,
        "tokens": words.tokens,
        "money": words.money,
        "moment": words.moment,
        "speaker": words.speaker,
        "line": one_line,
    }
    made.globals |= {
        "avatar": avatar,
        "mill": mill,
        "sign": sign,
        "names": rows.names,
        "picture": svg.picture,
        "cost_chart": charts.cost,
        "context_chart": charts.context,
        "time_chart": charts.time,
        "gauge": charts.gauge,
        "purse_chart": charts.purse,
        "hours": hours,
        "dial": dial,
        "stretch": stretch,
        "work": charts.WORK,
        "share": words.share,
        "rate": flake.told,
        "face": words.face,
        "count": words.count,
        "version": __version__,
    }
    return made


def _final(value: Any) -> Any:
    """What every expression of a template passes: text loses its effects even where nobody thought of it."""
    return value if hasattr(value, "__html__") else plain(str(value))
