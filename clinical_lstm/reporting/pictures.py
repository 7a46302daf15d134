"""The charts of a run as PNG files, for a paper or a slide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from clinical_lstm.artifacts import Run, atomic_file
from clinical_lstm.reporting import curves, doses, forest, theme, words
from clinical_lstm.reporting.contents import Contents, read
from clinical_lstm.reporting.figures import Spec, importance
from clinical_lstm.reporting.performance import drawable

WIDTH = 420
LEGEND = {"title": None, "orient": "bottom", "columns": 2}


def write_figures(run: Run, folder: Path) -> list[Path]:
    """Write the curves, the subgroups and what drives the risk of every target as PNG; return the paths, sorted.

    roc, pr, calibration, decision, event_pr, by_onset, subgroups, importance, dose; those that the run has.
    """
    contents = read(run)
    written = []
    for target in contents.targets:
        stem = re.sub(r"[^A-Za-z0-9]+", "_", target[0]).strip("_")
        for kind, spec in _charts(contents, target).items():
            if spec is not None:
                written.append(_write(spec, folder / f"{kind}_{stem}_{words.number(target[1])}h.png", target))
    return sorted(written)


def _charts(contents: Contents, target: tuple[str, float]) -> dict[str, Spec | None]:
    drawn = drawable(contents, target)
    charts = {kind: curves.chart(kind, drawn) if drawn else None for kind in curves.AXES}
    charts["subgroups"] = forest.chart(contents.scores, target)
    found = contents.explanations.summaries if contents.explanations is not None else None
    if found is not None and found.drivers is not None:
        charts["importance"] = importance(found.drivers, target)
    if found is not None and found.dose is not None and found.directions is not None:
        charts["dose"] = doses.sheet(found.dose, found.directions, target, WIDTH // 2)
    return charts


def _write(spec: Spec, path: Path, target: tuple[str, float]) -> Path:
    import vl_convert

    wide = {} if "concat" in spec else {"width": WIDTH}
    titled = _with_legend({**spec, **wide, "title": words.target(*target), "config": theme.config()})
    image = vl_convert.vegalite_to_png({**theme.printed(titled), "background": "white"}, scale=2)
    with atomic_file(path) as partial:
        partial.write_bytes(image)
    return path


def _with_legend(spec: Any) -> Any:
    """Return a specification whose colours have a legend: on the page the text around a chart has it.

    A dot on a line has the colour of the line, whose legend says it.
    """
    if isinstance(spec, list):
        return [_with_legend(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    shown = {key: _with_legend(part) for key, part in spec.items()}
    encoding, mark = shown.get("encoding"), shown.get("mark")
    if isinstance(encoding, dict) and not (isinstance(mark, dict) and mark.get("type") in ("circle", "area")):
        for channel in ("color", "strokeDash"):
            if isinstance(encoding.get(channel), dict) and "legend" in encoding[channel]:
                encoding[channel] = {**encoding[channel], "legend": LEGEND}
    return cast("Spec", shown)
