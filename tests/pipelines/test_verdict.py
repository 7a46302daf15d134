"""The terminal shows every predictor, and every sentence of the summary, within its width."""

from __future__ import annotations

from clinical_lstm.artifacts import Run
from pipelines import verdict


def test_numbers_and_sentences_of_a_run(project, capsys):
    run = Run(project / "artifacts/runs/tiny")
    verdict.show(run, "test")
    printed = capsys.readouterr().out
    [said] = run.json("summary.json")
    for name in ("model", "elapsed_time", "AUROC", "events found"):
        assert name in printed
    for sentence in [one for about in verdict.TITLES for one in said[about]]:
        assert " ".join(sentence.split()) in " ".join(printed.split())
    assert "model - elapsed_time" not in printed and "this very split" not in printed
    verdict.show(run, "val")
    assert "this very split" in capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 22 + len(verdict.SHOWN) * verdict.CELL
