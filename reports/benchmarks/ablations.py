"""What each ingredient of a recipe is worth, judged on val, as Markdown.

python reports/benchmarks/ablations.py EXPERIMENT COHORT [variants=N] [KEY=VALUE ...]

Trains the recipe and one variant after the other on a cohort that is there, all with one seed (runs that are there are
not trained again), and judges all on the same val rows: paired differences from the recipe, patients resampled. The
test split is not touched. Further settings go to every training, e.g. model.hidden=64 for a quicker table; `variants`
stops after so many. What the task does not allow (both directions, before the end of a stay) is said in its row.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
from machine import describe

BLOCKS = ["windows", "changes", "counts", "ratios", "severity"]
OTHER = ["++model.encoder_dropout=0", "~model.encoder_dropout"]  # residual_lstm alone takes it, if the recipe sets it
VARIANTS = {
    "the recipe, seed 2": ["seed=2"],
    "without engineered inputs, the teacher has them": ["model.inputs.engineered=[]"],
    "neither has the teacher": ["model.inputs.engineered=[]", "trainer.teacher=gradient_boosting"],
    "engineered inputs as they are, no bins": ["model.inputs.engineered_bins=1"],
    "without a teacher": ["trainer.distil_weight=0.0"],
    "uniform weights": ["trainer.weighting=uniform"],
    "uniform weights, labels smoothed": ["trainer.weighting=uniform", "trainer.smoothing=exponential"],
    "without masks": ["model.inputs.mask=false"],
    "without times since": ["model.inputs.delta=false"],
    "without masks, times, counts": ["model.inputs.observation_process=false"],
    "without variable dropout": ["model.inputs.variable_dropout=0.0"],
    "quantile encoding of values": ["model/inputs=piecewise"],
    "per-variable embedding": ["model/inputs=embedding"],
    "decay": ["model.inputs.decay=true"],
    "statics as initial state": ["model.inputs.static=state"],
    "auxiliary forecast": ["trainer.forecast_weight=0.1"],
    "average of weights": ["trainer.ema_decay=0.99"],
    "no average of weights": ["trainer.ema_decay=0.0"],
    "plain LSTM": ["model=lstm", *OTHER],
    "GRU": ["model=gru", *OTHER],
    "LSTM with attention": ["model=attention_lstm", *OTHER],
    "both directions": ["model=bilstm", *OTHER],
    "sLSTM": ["model=slstm", *OTHER],
    "mLSTM": ["model=mlstm", *OTHER],
    "32 bits": ["trainer.precision=32-true"],
    **{f"without {one}": [f"model.inputs.engineered=[{','.join(b for b in BLOCKS if b != one)}]"] for one in BLOCKS},
    "without hours and counts": [
        "model.inputs.hours=false",
        "model.inputs.engineered=[windows,changes,ratios,severity]",
    ],
}
REFUSED = 2  # the exit status of settings that cannot be meant
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "utility_cinc2019": "utility", "utility_pre_onset": "before onset"}


def main(experiment: str, cohort: str, *given: str) -> None:
    """Train, judge and print."""
    wanted = next((int(item.split("=")[1]) for item in given if item.startswith("variants=")), len(VARIANTS))
    given = tuple(item for item in given if not item.startswith("variants="))
    recipe = _trained(experiment, cohort, given)
    if recipe is None:
        raise SystemExit(f"{experiment} cannot be trained on {cohort} with {' '.join(given)}")
    runs, refused = {"the recipe": recipe}, []
    for name, overrides in list(VARIANTS.items())[:wanted]:
        run = _trained(experiment, cohort, [*overrides, *given])
        if run is None:
            refused.append(name)
        elif run not in runs.values():  # what the recipe does already is no variant
            runs[name] = run
    place = Path("artifacts/comparisons") / f"ablations-{cohort}"
    listed = ",".join(run.name for run in runs.values())
    if not _call("evaluate", f"run=[{listed}]", "evaluation.split=val", "evaluation.subgroups=[]", f"out={place}"):
        raise SystemExit(f"the runs {listed} cannot be judged together")
    table = pl.read_parquet(place / "scores.parquet").filter(subset="all")
    first = table.row(0, named=True)
    print(
        f"\n{experiment} {' '.join(given)}, {cohort}, val: {first['n_stays']:,} stays, {first['n_rows']:,} rows, "
        f"{first['n_positives'] / first['n_rows']:.2%} positive; {describe()}\n"
    )
    values = {(row["predictor"], row["metric"]): row for row in table.iter_rows(named=True)}
    shown = {key: title for key, title in METRICS.items() if any(metric == key for _, metric in values)}
    print(f"| variant | {' | '.join(shown.values())} | seconds |\n|---|{'---|' * (len(shown) + 1)}")
    for name, run in runs.items():
        whom = run.name if name == "the recipe" else f"{recipe.name} - {run.name}"
        cells = [_cell(values.get((whom, metric)), name != "the recipe") for metric in shown]
        seconds = pl.read_json(run / "timing.json")["train_seconds"][0]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |")
    for name in refused:
        print(f"| {name} | not possible here |{' |' * len(shown)}")


def _trained(experiment: str, cohort: str, overrides: list[str] | tuple[str, ...]) -> Path | None:
    """Return the run of some settings, trained unless it is there; None where they are refused."""
    told = _call("train", f"experiment={experiment}", f"cohort={cohort}", "tracking=none", *overrides)
    if told is None:
        return None
    line = next(line for line in told.splitlines() if "artifacts/runs/" in line)
    return Path(next(word for word in line.split() if "artifacts/runs/" in word).rstrip(";,"))


def _call(stage: str, *arguments: str) -> str | None:
    """Run a stage, its lines on the terminal too; return them, None where it refuses, and raise where it fails."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines", stage, *arguments], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            print(line, end="", file=sys.stderr)
    if running.returncode == REFUSED:
        return None
    if running.returncode:
        raise SystemExit(f"{stage} {' '.join(arguments)} failed")
    return "".join(lines)


def _cell(row: dict | None, is_difference: bool) -> str:
    """Return a value, or what the variant gains over the recipe, with its interval."""
    if row is None or row["value"] is None:
        return ""
    if not is_difference:
        return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    return f"{-row['value']:+.3f} ({-row['high']:+.3f} to {-row['low']:+.3f})"


if __name__ == "__main__":
    main(*sys.argv[1:])
