"""Put a figure on the page: its picture, alternative text that says what is seen, a caption, and where it
comes from.

Figures travel inside the page (no second file, no request), as SVG where they are drawn and as PNG where they
are pictures. The same figure gives the same bytes: no dates, no random ids, no version strings.
"""

import base64
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mdepth.plots.interactive import Interactive, interactive_html
from mdepth.plots.style import style

__all__ = ["figure_bytes", "figure_html", "provenance", "show"]

SHORTEST = 20  # characters: an alternative text that says less says nothing


def show(
    figure: Any, *, alt: str, name: str = "", caption: str = "", source: Mapping[str, str] | None = None
) -> None:
    """Display a matplotlib figure, a plotly figure or an :class:`~mdepth.plots.Interactive` in a notebook.

    Args:
        figure: what to show.
        alt: what is seen, for readers who do not see it; at least a short sentence.
        name: id of the figure; the page can be linked to at ``#figure-<name>``.
        caption: one sentence below it.
        source: the line that opens to where the figure comes from, see :func:`provenance`.

    Edge cases: a figure made by pyplot is closed, or the notebook would show it once more where the cell
    ends. Errors: ``ValueError`` for a missing or too short alternative text.
    """
    from IPython.display import HTML, display

    display(HTML(figure_html(figure, alt=alt, name=name, caption=caption, source=source)))
    _close(figure.still if isinstance(figure, Interactive) else figure)


def figure_html(
    figure: Any, *, alt: str, name: str = "", caption: str = "", source: Mapping[str, str] | None = None
) -> str:
    """What :func:`show` displays, as text."""
    if len(alt.strip()) < SHORTEST:
        raise ValueError(
            f"figure {name or 'without a name'}: alternative text {alt!r} is too short; say what is seen"
        )
    body = _image(figure, alt) if hasattr(figure, "savefig") else _live(figure, alt)
    anchor = f' id="figure-{escape(name, quote=True)}"' if name else ""
    words = f"<p>{escape(caption)}</p>" if caption else ""
    below = words + (_origin(source) if source else "")
    words = f"<figcaption>{below}</figcaption>" if below else ""
    return f'<figure class="mdepth-figure"{anchor} style="margin:1rem 0">\n{body}\n{words}</figure>'


def figure_bytes(figure: Any, kind: str = "") -> tuple[bytes, str]:
    """The figure as a file, and its type: ``svg`` for drawings, ``png`` where there are pictures or many
    marks in it.

    Args:
        figure: a matplotlib figure.
        kind: ``svg`` or ``png``; decided by what is drawn where empty.
    """
    kind = kind or ("png" if _is_picture(figure) else "svg")
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    buffer = io.BytesIO()
    with style():
        if figure.get_layout_engine() is not None:  # every pass would move things by a hair; one is enough
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, metadata=metadata, dpi=150 if kind == "png" else 100)
    return buffer.getvalue(), kind


def provenance(records: Sequence[Any]) -> dict[str, str]:
    """The lines that say where a figure comes from: command, commit, data, seeds, machine, time.

    Args:
        records: the records that it was drawn from, of one variant or of several.

    Errors: ``ValueError`` without records.
    """
    if not records:
        raise ValueError("no records: a figure without a source has no provenance line")
    runs = [record.run for record in records]
    return {
        "command": _each(f"mdepth run {r['source']}/{r['variant']} --profile {r['profile']}" for r in runs),
        "seeds": _each(str(run["seed"]) for run in runs),
        "commit": _each(run["commit"] or "not in a repository" for run in runs),
        "data": _each(str(run["data"]["hash"])[:16] for run in runs),
        "machine": _each(_machine(run["hardware"]) for run in runs),
        "time": f"{sum(run['seconds'] for run in runs):.0f} s",
        "identity": _each(run["identity"][:12] for run in runs),
    }


def _each(values: Iterable[str]) -> str:
    """Every different value once, in order."""
    return ", ".join(dict.fromkeys(values))


def _machine(hardware: Mapping[str, Any]) -> str:
    return f"{hardware.get('gpu') or hardware.get('cpu')} with {hardware.get('threads')} threads"


def _close(figure: Any) -> None:
    """Let pyplot forget a matplotlib figure, where pyplot is in use; the figure itself can still be drawn."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(figure, "savefig"):
        pyplot.close(figure)


def _image(figure: Any, alt: str) -> str:
    content, kind = figure_bytes(figure)
    width = round(figure.get_figwidth() * 100)
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    data = base64.b64encode(content).decode()
    size = f'width="{width}" style="max-width:100%;height:auto"'
    return f'<img alt="{escape(alt, quote=True)}" {size} src="data:{mime};base64,{data}">'


def _live(figure: Any, alt: str) -> str:
    """An interactive figure, with its still picture for print and for readers without scripts."""
    wrapped = figure if isinstance(figure, Interactive) else Interactive(figure)
    still = _image(wrapped.still, alt) if wrapped.still is not None else ""
    fallback = f'<div class="mdepth-still">{still}</div><noscript>{still}</noscript>' if still else ""
    css = (
        (
            "<style>.mdepth-still{display:none}@media print{.mdepth-still{display:block}"
            ".mdepth-still~.mdepth-live,.mdepth-live:has(~.mdepth-still){display:none}}</style>"
        )
        if still
        else ""
    )
    said = f'role="group" aria-label="{escape(alt, quote=True)}"'
    body = f'<div class="mdepth-live" {said}>{interactive_html(wrapped.figure)}</div>'
    return f"{css}{fallback}{body}"


def _origin(source: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{escape(key)}</dt><dd><code>{escape(value)}</code></dd>" for key, value in source.items()
    )
    summary = "<summary>Where this comes from</summary>"
    return f'<details class="mdepth-provenance">{summary}<dl>{items}</dl></details>'


def _is_picture(figure: Any) -> bool:
    """Whether a figure holds images, or so many marks that drawing them all would make a huge file."""
    return any(
        axis.images
        or any(len(marks.get_offsets()) > 500 for marks in axis.collections if hasattr(marks, "get_offsets"))
        for axis in figure.axes
    )
