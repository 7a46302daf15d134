"""The PNG files: which, how large, and with a legend of lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import write_figures
from clinical_lstm.reporting.pictures import _with_legend


def test_png_files(judged_run: Run, tmp_path: Path) -> None:
    paths = write_figures(judged_run, tmp_path)
    kinds = ["by_onset", "calibration", "decision", "event_pr", "pr", "roc", "subgroups"]
    expected = [f"{kind}_sepsis_{hours}h.png" for kind in kinds for hours in (12, 6)]
    expected += ["dose_sepsis_6h.png", "importance_sepsis_6h.png"]
    assert [path.name for path in paths] == sorted(expected)
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
        assert 800 < width < 1600
        assert 400 < height < 1200


def test_a_run_has_the_figures_of_what_it_has(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    names = [path.name for path in write_figures(run, tmp_path / "figures")]
    assert len(names) == 2 * 4
    assert {name.split("_")[0] for name in names} == {"roc", "pr", "calibration", "subgroups"}


def test_lines_have_a_legend_and_the_dots_on_them_none() -> None:
    spec = {
        "layer": [
            {"mark": {"type": "line"}, "encoding": {"color": {"legend": None}, "strokeDash": {"legend": None}}},
            {"mark": {"type": "circle"}, "encoding": {"color": {"legend": None}}},
            {"mark": {"type": "bar"}, "encoding": {"color": {"field": "c"}}},
        ]
    }
    line, dot, bar = _with_legend(spec)["layer"]
    assert line["encoding"]["color"]["legend"] and line["encoding"]["strokeDash"]["legend"]
    assert dot["encoding"]["color"]["legend"] is None
    assert "legend" not in bar["encoding"]["color"]
