"""Does a model travel? Trained without a hospital, judged on it; what differs there, what local patients repair.

  clinical-lstm transport experiment=sepsis_2019 source.root=FOLDER     every site is once the unseen one
  clinical-lstm transport source=table source.root=FOLDER cohort=NAME sites=[B]
  clinical-lstm transport run=NAME                           the test stays of a run as the other place or time
  clinical-lstm transport experiment=sepsis_2019 source.root=FOLDER model/inputs=values_only
                                                             without what is known from charting alone

For every site: prepare (split.site), train and evaluate, as the single stages would; then recalibration.parquet (what
0, 25, 50, ... local patients are worth), domain_shift.parquet (standardised differences between train and test stays)
and transport.json in the run, whose report shows them, and transport.json of all sites in artifacts/transport or `out`.
`split=temporal` trains on the earlier patients: then run=NAME asks the same of time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
from omegaconf import DictConfig, open_dict

from clinical_lstm.artifacts import Cohort, Directory, Run, digest, write_json, write_table
from clinical_lstm.batch import Ragged, Scaler
from clinical_lstm.data.task import Task, within
from clinical_lstm.errors import InputError, closest
from clinical_lstm.evaluation import evaluate as judge
from clinical_lstm.evaluation.protocol import Protocol
from clinical_lstm.inference import ready_threads
from clinical_lstm.transport import Population, domain_shift, recalibration
from pipelines import evaluate, judging, places, prepare, stage, train

KEYS = [
    "source",
    "complication",
    "task",
    "split",
    "model",
    "trainer",
    "baseline",
    "evaluation",
    "alarm",
    "blend",
    "cohort",
    "run",
    "sites",
    "seed",
    "out",
    "tracking",
]
FILES = ["recalibration.parquet", "domain_shift.parquet", "transport.json"]
SHOWN = {"auroc": "AUROC", "utility_cinc2019": "utility", "calibration_in_the_large": "in the large"}
REPEATS = 20


def main(config: DictConfig) -> Directory:
    """Judge one run on its test stays as another place, or train and judge once without each site."""
    ready_threads(config.runtime.threads)
    if config.run:
        run = places.existing_run(config)
        show([travelled(config, run)])
        return run
    base = prepare.main(config)
    existing = sorted(base.table("stays.parquet")["site"].unique())
    if len(existing) < 2:
        raise InputError(
            f"{base.name} has one site, {existing[0]}: nothing to travel to; split=temporal asks it of time"
        )
    facts = []
    for site in _sites(config.sites, existing):
        print(f"transport: without {site}", flush=True)
        job = config.copy()
        with open_dict(job):
            job.split.site, job.split.fold, job.split.temporal, job.split.table = site, None, False, None
            job.cohort = f"{base.name}-without-{site}"
        prepare.main(job)
        job.run = train.main(job).name
        facts.append(travelled(job, Run(evaluate.main(job).path)) | {"site": site})
    code = digest([one["run"] for one in facts])[:6]
    place = Directory(config.out or Path(config.paths.artifacts) / "transport" / f"{base.name}-{code}")
    write_json(place.path / "transport.json", facts)
    show(facts)
    print(f"transport: wrote {place.path}; reports: clinical-lstm report run={facts[0]['run']}, and of the others")
    return place


def travelled(config: DictConfig, run: Run) -> dict[str, Any]:
    """Return (and write into the run) how it does on its own calibration patients and on its test stays."""
    run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
    manifest = run.verify()
    cohort = judging.cohort_behind(config, manifest)
    key = digest([(run.marker("evaluate") or {}).get("outputs"), config.seed])
    if run.is_done("transport", key):
        print(f"transport: {run.path} is up to date")
        return run.json(FILES[2])
    print(f"transport: {run.name}: recalibration on local patients, domain shift", flush=True)
    predictions = run.table("predictions.parquet").filter(split="test")
    refitted = recalibration(predictions, run.json("thresholds.json"), REPEATS, config.seed)
    write_table(run.path / FILES[0], refitted)
    write_table(run.path / FILES[1], domain_shift(*_populations(cohort)))
    write_json(run.path / FILES[2], _facts(config, run, cohort, refitted))
    run.mark("transport", key, FILES)
    return run.json(FILES[2])


def _populations(cohort: Cohort) -> list[Population]:
    """Return the train stays and the test stays."""
    tensors, scaler = Ragged.load(cohort.path / "tensors"), Scaler.from_table(cohort.table("scaler.parquet"))
    stays, labels = cohort.table("stays.parquet"), cohort.table("labels")
    masks = [(stays["split"] == name).to_numpy() for name in ("train", "test")]
    return [Population.of(tensors, scaler, stays, labels, mask) for mask in masks]


def _facts(config: DictConfig, run: Run, cohort: Cohort, refitted: pl.DataFrame) -> dict[str, Any]:
    """Return per target what the model reaches at home (its calibration patients) and away (its test stays)."""
    task = Task.of(run.json("manifest.json")["task"])
    protocol = Protocol(
        split="calib",
        replicates=config.evaluation.replicates,
        seed=config.seed,
        utility=task.after_onset_hours is not None,
        subgroups=(),
    )
    stays = cohort.table("stays.parquet")
    home = judge({"model": judging.judged(run, cohort, judging.budget(config))}, stays, protocol).scores
    away = run.table("scores.parquet")
    found = []
    for complication, horizon in task.targets:
        target = {"complication": complication, "horizon_hours": horizon}
        own = {name: _values(table, target) for name, table in (("home", home), ("away", away))}
        points = refitted.filter(**target, metric=_repaired(refitted)).select(
            "patients", "method", "value", "low", "high"
        )
        found.append({**target, **own, "repaired": _repaired(refitted), "recalibration": points.to_dicts()})
    sites = {name: sorted(stays.filter(split=name)["site"].unique()) for name in ("train", "test")}
    return {"run": run.name, "cohort": cohort.name, "sites": sites, "targets": found}


def _values(scores: pl.DataFrame, target: dict[str, Any]) -> dict[str, Any]:
    own = scores.filter(**target, predictor="model", subset="all").filter(pl.col("metric").is_in(list(SHOWN)))
    counts = own.select("n_stays", "n_rows", "n_positives").row(0, named=True)
    return counts | {row["metric"]: {k: row[k] for k in ("value", "low", "high")} for row in own.iter_rows(named=True)}


def _repaired(refitted: pl.DataFrame) -> str:
    """Return the metric by which repair is judged: that of the run's threshold rule."""
    return next(name for name in ("utility_cinc2019", "youden_index") if name in refitted["metric"])


def _sites(given: Any, existing: list[str]) -> list[str]:
    asked = [str(site) for site in given] if given else existing
    for site in asked:
        if site not in existing:
            raise InputError(f"sites: there is no {site!r}: {closest(site, existing)}")
    return asked


def show(facts: list[dict[str, Any]]) -> None:
    """Print a table of home and away, and what local patients repair."""
    for one in facts:
        away = ", ".join(one["sites"]["test"])
        for target in one["targets"]:
            title = f"{target['complication']} {within(target['horizon_hours'])}"
            print(f"\n{title}: {', '.join(one['sites']['train'])} -> {away} ({one['run']})")
            print(f"{'':34}" + "".join(f"{label:26}" for name, label in SHOWN.items() if name in target["away"]))
            for name, where in (("home", "home, calibration patients"), ("away", f"away, {away}")):
                cells = [_cell(target[name][metric]) for metric in SHOWN if metric in target["away"]]
                print(f"{where:34}" + "".join(f"{cell:26}" for cell in cells))
            _curve(target)


def _curve(target: dict[str, Any]) -> None:
    """Print the repaired metric by the number of local patients, a line per method."""
    methods: dict[str, dict[int, float | None]] = {}
    for point in target["recalibration"]:
        methods.setdefault(point["method"], {})[point["patients"]] = point["value"]
    sizes = sorted({patients for own in methods.values() for patients in own})
    print(f"{target['repaired'] + ', local patients':34}" + "".join(f"{size:>8}" for size in sizes))
    for method, own in methods.items():
        cells = ("" if own.get(size) is None else f"{own[size]:.3f}" for size in sizes)
        print(f"  {method:32}" + "".join(f"{cell:>8}" for cell in cells))


def _cell(row: dict[str, float | None]) -> str:
    if row["value"] is None:
        return "undefined"
    return f"{row['value']:.3f}" + ("" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})")


if __name__ == "__main__":
    sys.exit(stage.launch("transport", sys.argv[1:]))
