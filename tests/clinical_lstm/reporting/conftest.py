"""Run directories as the stages leave them: one of known numbers, checked by the schemas, and one that was judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run, write_json, write_table
from clinical_lstm.evaluation import Judged, Protocol, evaluate
from clinical_lstm.evaluation.operation import AlarmBudget, operations, record
from clinical_lstm.evaluation.summary import summarise
from clinical_lstm.sources.base import stays_table
from clinical_lstm.transport import Population, domain_shift, recalibration
from clinical_lstm.variables import static_names

TARGETS = [("sepsis", 6.0), ("sepsis", 12.0)]
VARIABLES = [
    "heart_rate",
    "map",
    "respiratory_rate",
    "spo2",
    "temperature",
    "lactate",
    "creatinine",
    "bilirubin_total",
    "platelets",
    "wbc",
    "glucose",
    "potassium",
]
STATICS = ["age_years", "male"]
LEVELS = {"heart_rate": (88, 6), "map": (78, 5), "respiratory_rate": (18, 2), "spo2": (96, 1), "temperature": (37, 0.3)}
REASONS = ["highest_risk", "missed_event", "false_alarm", "typical"]
PREDICTORS = ["model", "elapsed_time", "logistic_regression", "gradient_boosting"]
HOURS = 60


def enum(values: list[str], name: str, schema: Any) -> pl.Series:
    return pl.Series(name, values).cast(schemas.empty(schema).schema[name])


def stay_names(count: int) -> list[str]:
    return [f"p{100200 + 37 * i}" for i in range(count)]


def scores() -> pl.DataFrame:
    strength = {"model": 0.83, "elapsed_time": 0.62, "logistic_regression": 0.77, "gradient_boosting": 0.81}
    rows: list[dict[str, Any]] = []

    def add(predictor: str, horizon: float, subset: str, metric: str, value: float | None, half: float) -> None:
        bounds = {"low": None, "high": None} if value is None else {"low": value - half, "high": value + half}
        part = {"all": 1, "pre_onset": 2}.get(subset, 3)
        counts = {"n_rows": 184_220 // part, "n_stays": 8_066 // part, "n_positives": 3_412 // part}
        key = {"predictor": predictor, "complication": "sepsis", "horizon_hours": horizon, "subset": subset}
        rows.append({**key, "metric": metric, "value": value, **bounds, **counts})

    for _, horizon in TARGETS:
        for subset in ["all", "pre_onset", "site=A", "site=B"]:
            for name in PREDICTORS:
                auroc = strength[name] - (0.03 if subset == "pre_onset" else 0) - horizon / 400
                for metric, value, half in [
                    ("auroc", auroc, 0.011),
                    ("auprc", (auroc - 0.5) / 3, 0.009),
                    ("prevalence", 0.0185, 0.0009),
                    ("brier", 0.0171, 0.0006),
                    ("calibration_slope", 0.97, 0.06),
                    ("calibration_intercept", -0.04, 0.08),
                    ("ece_equal_mass", 0.0021, 0.0007),
                    ("utility_cinc2019", auroc - 0.42, 0.02),
                    ("sensitivity", 0.62, 0.03),
                    ("ppv", 0.09, 0.01),
                    ("false_alarms_per_patient_day", 1.31, 0.08),
                    ("lead_time_hours", None if name == "elapsed_time" else 4.2, 0.4),
                ]:
                    add(name, horizon, subset, metric, value, half)
            add("model - gradient_boosting", horizon, subset, "auroc", 0.02 if horizon == 6 else 0.004, 0.009)
            add("model - gradient_boosting", horizon, subset, "auprc", 0.011, 0.007)
    return schemas.check(schemas.Scores, pl.DataFrame(rows, infer_schema_length=None), "scores")


def curves() -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    x = np.linspace(0, 1, 400)
    for _, horizon in TARGETS:
        for rank, name in enumerate(PREDICTORS):
            bend = [0.22, 0.6, 0.32, 0.25][rank]
            shapes = {
                "roc": (x, x**bend),
                "pr": (x, 0.0185 + (0.5 - 0.1 * rank) * (1 - x) ** 2),
                "calibration": (np.linspace(0.002, 0.12, 10), np.linspace(0.002, 0.12, 10) * (1 + 0.1 * (rank - 1))),
            }
            for kind, (across, up) in shapes.items():
                rows += [
                    {"predictor": name, "complication": "sepsis", "horizon_hours": horizon, "subset": "all"}
                    | {"curve": kind, "x": float(a), "y": float(b), "n": 100}
                    for a, b in zip(across, up)
                ]
    table = pl.DataFrame(rows)
    return schemas.check(
        schemas.Curves, table.with_columns(enum(table["curve"].to_list(), "curve", schemas.Curves)), "curves"
    )


def observations(stays: list[str], variables: list[str]) -> pl.DataFrame:
    draw = np.random.default_rng(7)
    rows = []
    for stay in stays:
        for name in variables:
            level, spread = LEVELS.get(name, (0, 0))
            hours = np.arange(1, HOURS + 1) if name in LEVELS else np.arange(3, HOURS, 9 + len(name) % 4)
            sick = np.clip((hours - 30) / 25, 0, 1)
            for hour, ill in zip(hours, sick):
                value = draw.normal(
                    level + 4 * spread * ill * (-1 if name in ("map", "spo2") else 1), spread / 2 + 1e-3
                )
                value = value if name in LEVELS else float(draw.lognormal(0.3 + 0.8 * ill, 0.2))
                rows.append((stay, float(hour), name, round(float(value), 2)))
    table = pl.DataFrame(rows, schema=["stay_id", "hours", "variable", "value"], orient="row")
    return schemas.check(schemas.Observations, table.sort("stay_id", "hours", "variable"), "observations")


def risk(rank: int, hour: float) -> float:
    return float(1 / (1 + np.exp(4.6 - 0.2 * (rank % 3) - 3.4 / (1 + np.exp((44 + rank % 5 - hour) / 4)))))


def predictions(stays: list[str]) -> pl.DataFrame:
    rows = [
        {"stay_id": stay, "patient_id": f"patient-{stay}", "site": "A", "split": "test", "hours": float(hour)}
        | {"complication": complication, "horizon_hours": horizon, "risk": risk(rank, hour), "label": 0}
        | {"at_risk": True, "after_onset": False}
        for rank, stay in enumerate(stays)
        for complication, horizon in TARGETS
        for hour in range(1, HOURS + 1)
    ]
    table = pl.DataFrame(rows).with_columns(pl.col("label").cast(pl.Int8))
    table = table.with_columns(enum(table["split"].to_list(), "split", schemas.Predictions))
    return schemas.check(schemas.Predictions, table, "predictions")


def explained(stays: list[str]) -> pl.DataFrame:
    rows = [
        {"stay_id": stay, "hours": 48.0, "complication": "sepsis", "horizon_hours": 6.0}
        | {"reason": REASONS[rank % 4] if rank < len(stays) - 1 else "cohort_sample", "risk": risk(rank, 48)}
        | {"logit": -1.2 - 0.1 * rank, "baseline_logit": -4.1, "gap": 0.0021 + 0.01 * (rank == 2), "evaluations": 240}
        | {"explained": rank != 2}
        for rank, stay in enumerate(stays)
    ]
    return schemas.check(schemas.Explained, pl.DataFrame(rows), "explained")


def attributions(stays: list[str], variables: list[str]) -> pl.DataFrame:
    draw = np.random.default_rng(11)
    frames = []
    for stay in stays:
        for rank, name in enumerate(variables):
            hours = np.arange(1.0, 49.0)
            recent = np.exp((hours - 48) / 9) / (1 + rank)
            for channel, size in [("value", 0.25), ("mask", 0.08), ("delta", 0.05)]:
                shares = draw.normal(0.5, 0.6, len(hours)) * recent * size
                frames.append((stay, name, channel, hours, shares))
        frames += [(stay, name, "static", np.array([0.0]), draw.normal(0.1, 0.1, 1)) for name in STATICS]
    table = pl.concat(
        pl.DataFrame({"input_hours": hours, "attribution": shares}).with_columns(
            stay_id=pl.lit(stay), variable=pl.lit(name), channel=pl.lit(channel)
        )
        for stay, name, channel, hours, shares in frames
    )
    table = table.with_columns(hours=48.0, complication=pl.lit("sepsis"), horizon_hours=6.0)
    table = table.with_columns(enum(table["channel"].to_list(), "channel", schemas.Attributions))
    return schemas.check(schemas.Attributions, table.select(schemas.Attributions.column_names()), "attributions")


def manifest(variables: list[str]) -> dict[str, Any]:
    return {
        "name": "sepsis_lstm",
        "model": {
            "name": "lstm",
            "arguments": {"hidden": 96, "layers": 1, "dropout": 0.2, "inputs": ["value", "mask"]},
        },
        "parameters": 71_234,
        "task": {
            "name": "sepsis_hourly",
            "complications": [{"name": "sepsis"}],
            "horizons_hours": [6.0, 12.0],
            "gap_hours": 0.0,
            "step_hours": 1.0,
            "every_hours": None,
            "at_hours": None,
            "after_onset_hours": 3.0,
            "censoring": True,
        },
        "targets": [list(target) for target in TARGETS],
        "variables": variables,
        "statics": STATICS,
        "seed": 7,
        "best_epoch": 9,
        "training": {
            "learning_rate": 0.002,
            "batch_size": 64,
            "loss": {"name": "weighted_bce", "weight": 4},
            "epochs": 20,
        },
        "versions": {"python": "3.11.9", "torch": "2.13.0", "polars": "2.1.0"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "cohort": "cinc2019",
        "tolerance": 0.01,
    }


def split_counts(horizon: float, stays: int) -> dict[str, Any]:
    counts = {"rows": 38 * stays, "positives": stays // 2, "events": stays // 14, "positives_after_onset": 0}
    return {"complication": "sepsis", "horizon_hours": horizon, **counts}


def cohort(variables: list[str]) -> dict[str, Any]:
    sizes = {"train": 26_000, "val": 3_000, "calib": 3_000, "test": 8_066}
    return {
        "name": "cinc2019",
        "source": {
            "name": "physionet2019",
            "title": "PhysioNet/Computing in Cardiology Challenge 2019",
            "citation": "Reyna et al. 2020, doi 10.1097/CCM.0000000000004145.",
            "licence": "CC BY 4.0",
        },
        "funnel": [
            {"step": "records read", "stays": 40_336, "observations": 12_402_551},
            {"step": "plausible measurements", "stays": 40_336, "observations": 12_391_002},
            {"step": "at least one prediction", "stays": 39_910, "observations": 12_390_114},
        ],
        "splits": {
            name: {"stays": n, "patients": n, "targets": [split_counts(horizon, n) for _, horizon in TARGETS]}
            for name, n in sizes.items()
        },
        "rejects": {"out_of_plausible_range": 10_832, "not_a_number": 717},
        "coverage": {
            name: {
                "observations": 1_400_000 // (1 + i),
                "stays_share": 0.99 / (1 + i / 9),
                "steps_share": 0.9 / (1 + i),
            }
            for i, name in enumerate(variables)
        },
        "leakage": {"patients_in_two_splits": 0, "fitted_on": "train"},
    }


def build(path: Path, stays: list[str], variables: list[str], explain: bool = True) -> Run:
    """Write a complete run directory; `explain` adds what the stage of that name writes."""
    write_json(path / "manifest.json", manifest(variables))
    write_json(path / "cohort.json", cohort(variables))
    key = [{"complication": complication, "horizon_hours": horizon} for complication, horizon in TARGETS]
    write_json(path / "calibrator.json", [target | {"kind": "platt", "map": {"slope": 0.9}} for target in key])
    facts = {"threshold": 0.08, "rule": "max_utility", "chosen_on": "val"}
    write_json(path / "thresholds.json", [target | facts for target in key])
    epochs = range(15)
    losses = pl.DataFrame(
        {
            "epoch": list(epochs),
            "train_loss": [0.3 + 0.4 * np.exp(-e / 4) for e in epochs],
            "val_loss": [0.33 + 0.3 * np.exp(-e / 4) + 0.002 * abs(e - 9) for e in epochs],
            "val_auroc": [0.7 + 0.01 * min(e, 9) for e in epochs],
        }
    )
    losses.write_csv(path / "history.csv")
    write_table(path / "curves.parquet", curves())
    write_scores(path, scores(), schemas.empty(schemas.Gaps))
    write_table(path / "predictions.parquet", predictions(stays))
    if explain:
        write_explanations(path, stays, variables)
    return Run(path)


def write_scores(path: Path, found: pl.DataFrame, gaps: pl.DataFrame) -> None:
    write_table(path / "scores.parquet", found)
    write_table(path / "gaps.parquet", gaps)
    key = [{"complication": complication, "horizon_hours": horizon} for complication, horizon in TARGETS]
    said = [
        target | summarise(found, gaps, (target["complication"], target["horizon_hours"]))._asdict() for target in key
    ]
    write_json(path / "summary.json", said)


def write_explanations(path: Path, stays: list[str], variables: list[str]) -> None:
    write_table(path / "explained.parquet", explained(stays))
    write_table(path / "attributions.parquet", attributions(stays, variables))
    checks = {"n": 200, "n_explained": 198, "tolerance": 0.01, "max_gap": 0.0121, "median_gap": 0.0012}
    write_json(path / "checks.json", checks | {"evaluations_median": 240.0, "evaluations_max": 400})
    write_table(path / "explained_observations.parquet", observations(stays, variables))
    onsets = [{"stay_id": s, "complication": "sepsis", "onset_hours": 52.0, "end_hours": 60.0} for s in stays[::2]]
    write_table(path / "explained_episodes.parquet", schemas.check(schemas.Episodes, pl.DataFrame(onsets), "episodes"))
    statics = dict.fromkeys(static_names()) | {"age_years": 71.0, "male": 1.0}
    core = {"site": "A", "start_hours": 0.0, "length_hours": float(HOURS), "split": "test"}
    rows = [{"stay_id": stay, "patient_id": f"patient-{stay}"} | core | statics for stay in stays]
    table = pl.DataFrame(rows, schema_overrides=dict.fromkeys(static_names(), pl.Float64))
    table = stays_table(table).with_columns(table["split"])
    table = table.with_columns(enum(table["split"].to_list(), "split", schemas.SplitStays))
    columns = schemas.SplitStays.column_names()
    write_table(path / "explained_stays.parquet", schemas.check(schemas.SplitStays, table.select(columns), "stays"))


# --- judged by the real evaluation ------------------------------------------------------------------------------------

NOISE = {"model": 0.4, "elapsed_time": 3.5, "gradient_boosting": 0.8, "news2": 2.5, "sofa": 3.0}


def ward(noise: float, patients: int = 110, steps: int = 30) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return predictions and stays: half of the patients get worse until an onset, and are seen for 3 h after it.

    The risk follows the hours to the onset, blurred by `noise` on the logit. A third of the patients is of `val`.
    """
    draw, blur = np.random.default_rng(5), np.random.default_rng([5, round(100 * noise)])
    onset = np.where(draw.random(patients) < 0.5, draw.integers(12, steps - 3, patients) - 0.5, np.nan)
    stay, hours = np.repeat(np.arange(patients), steps), np.tile(np.arange(1.0, steps + 1), patients)
    ahead = onset[stay] - hours
    seen = ~(ahead < -3)
    logit = (
        -3.5 + np.where(np.isnan(ahead), 0.0, 4.0 * np.exp(-np.abs(ahead) / 8)) + noise * blur.normal(size=len(stay))
    )
    after = ahead <= 0
    parts = [
        pl.DataFrame(
            {
                "stay_id": [f"s{i:03}" for i in stay],
                "patient_id": [f"p{i:03}" for i in stay],
                "site": np.where(stay % 4 < 2, "B", "A"),
                "split": np.where(stay % 3 == 0, "val", "test"),
                "hours": hours,
                "complication": complication,
                "horizon_hours": horizon,
                "risk": 1 / (1 + np.exp(-logit - (horizon - 6) / 12)),
                "label": (after | (ahead <= horizon)).astype(np.int8),
                "at_risk": True,
                "after_onset": after,
                "onset_hours": onset[stay],
                "follow_up_hours": np.where(after, np.nan, float(steps + 12)),
            }
        ).filter(pl.Series(seen))
        for complication, horizon in TARGETS
    ]
    table = pl.concat(parts).with_columns(pl.col("onset_hours", "follow_up_hours").fill_nan(None))
    table = table.with_columns(enum(table["split"].to_list(), "split", schemas.Predictions))
    facts = {"male": np.arange(patients) % 2 * 1.0, "age_years": np.where(np.arange(patients) < 6, 30.0, 70.0)}
    stays = pl.DataFrame({"stay_id": [f"s{i:03}" for i in range(patients)], **facts})
    return schemas.check(schemas.Predictions, table.sort("stay_id"), "predictions"), stays


def judge(path: Path) -> None:
    """Write what `evaluate` and `transport` write, by the code that they run."""
    alarm, judged = AlarmBudget(budget=2.0, silence_hours=4.0), {}
    for name, noise in NOISE.items():
        table, stays = ward(noise)
        judged[name] = Judged(table, operations(table, dict.fromkeys(TARGETS, 0.2), alarm, name))
    protocol = Protocol(replicates=30, utility=True, subgroups=["site", "sex", "age", "hours"])
    found = evaluate(judged, stays, protocol)
    write_scores(path, found.scores, found.gaps)
    write_table(path / "curves.parquet", found.curves)
    write_json(path / "alarms.json", record(judged["model"].operation, alarm))
    key = [{"complication": complication, "horizon_hours": horizon} for complication, horizon in TARGETS]
    facts = {"threshold": 0.2, "rule": "cinc2019", "chosen_on": "val"}
    write_json(path / "thresholds.json", [target | facts for target in key])
    thresholds = [target | facts for target in key]
    repaired = recalibration(judged["model"].table.filter(split="test"), thresholds, repeats=3)
    write_table(path / "recalibration.parquet", repaired)
    write_table(path / "domain_shift.parquet", domain_shift(*(population(seed) for seed in (1, 2))))
    score = {"value": 0.8, "low": 0.7, "high": 0.9}
    counts = {"n_stays": 70, "n_rows": 1900, "n_positives": 300}
    side = counts | {"auroc": score, "utility_cinc2019": score, "calibration_in_the_large": score}
    away = side | {"auroc": {"value": 0.7, "low": None, "high": None}}
    places = {"run": "sepsis_lstm", "cohort": "cinc2019-without-B", "sites": {"train": ["A", "C"], "test": ["B"]}}
    write_json(path / "transport.json", places | {"targets": [target | {"home": side, "away": away} for target in key]})


# --- explained by the real summaries ----------------------------------------------------------------------------------

DRIVING = ["lactate", "heart_rate", "map", "creatinine"]
KEY = ["stay_id", "hours", "complication", "horizon_hours"]
SAMPLES = ["true_alarm", "missed_event", "false_alarm", "true_silence"]


def driven(patients: int = 120) -> tuple[pl.DataFrame, ...]:
    """Return attributions, what was explained, observations and stays: more lactate raises the logit, in false alarms
    its being measured does so too, and the creatinine of the old counts twice.
    """
    draw = np.random.default_rng(9)
    cells, seen, keys = [], [], []
    for i in range(patients):
        key = (f"s{i:03}", 20.0, "sepsis", 6.0)
        sample = "before_onset" if i % 3 == 0 else "cohort" if i % 3 == 1 else SAMPLES[i // 3 % 4]
        onset = 20.5 + 2.5 * (i // 3 % 8) if i % 3 == 0 else None
        keys.append((*key, f"{sample}_sample", f"p{i:03}", onset))
        for rank, name in enumerate(DRIVING):
            value = float(draw.normal(2, 1) ** 2)
            seen.append((key[0], 19.0, name, value))
            size = 0.5 * (2 - rank / 2 + (rank == 3 and i % 2)) * (value - 4) / 4
            watched = 0.9 * (sample == "false_alarm" and rank == 0) + 0.05
            parts = [("value", size), ("mask", watched + draw.normal(0, 0.05)), ("delta", -0.1)]
            cells += [(*key, 19.5, name, channel, share) for channel, share in parts]
        cells.append((*key, 20.0, "age_years", "static", 0.1 * (i % 2) - 0.05))
    attributions = pl.DataFrame(cells, schema=[*KEY, "input_hours", "variable", "channel", "attribution"], orient="row")
    attributions = attributions.with_columns(enum(attributions["channel"].to_list(), "channel", schemas.Attributions))
    chosen = pl.DataFrame(keys, schema=[*KEY, "reason", "patient_id", "onset_hours"], orient="row")
    observations = pl.DataFrame(seen, schema=["stay_id", "hours", "variable", "value"], orient="row")
    facts = {
        "age_years": [80.0 if i % 2 else 50.0 for i in range(patients)],
        "male": [float(i % 7 == 0) for i in range(patients)],
    }
    stays = pl.DataFrame({"stay_id": [f"s{i:03}" for i in range(patients)], **facts})
    return attributions, chosen.with_columns(explained=True), observations, stays


def drive(path: Path) -> None:
    """Write what `explain` finds over a cohort, by the code that it runs, and the half-lives of two layers."""
    from clinical_lstm import explanation  # it imports torch, which most tests here need not

    attributions, chosen, observations, stays = driven()
    entries = explanation.evidence(attributions, chosen, chosen, chosen, stays, least_patients=4, replicates=60)
    found, directions = explanation.dose(entries, attributions, observations, stays)
    write_table(path / "drivers.parquet", explanation.drivers(entries))
    write_table(path / "contrasts.parquet", explanation.contrasts(entries))
    write_table(path / "dose.parquet", found)
    write_table(path / "directions.parquet", directions)
    rows = [(f"s{i:03}", 20.0, "sepsis", 6.0, layer, unit) for i in range(3) for layer in "ab" for unit in range(16)]
    half_lives = pl.DataFrame(rows, schema=[*KEY, "layer", "unit"], orient="row").with_columns(
        half_life_hours=0.4 * (1.0 + pl.col("unit")) * pl.col("layer").replace_strict({"a": 1.0, "b": 4.0})
    )
    write_table(path / "half_lives.parquet", schemas.check(schemas.HalfLives, half_lives, "half-lives"))
    checks = json.loads((path / "checks.json").read_text(encoding="utf-8"))
    write_json(path / "checks.json", checks | {"trust": TRUST})


TRUST = {
    "completeness": {"passed": True, "rule": "every gap < tolerance", "finding": "The largest gap is 0.0073."},
    "randomisation": {"passed": False, "rule": "rank correlation <= 0.9", "finding": "It keeps 0.95."},
    "stability": {"passed": None, "rule": "cosine >= 0.9", "finding": "Not judged: no prediction has attributions."},
    "agreement": {"passed": True, "rule": "at or above 0.5", "finding": "It is 0.84 (-0.81 to 0.91)."},
    "deletion_insertion": {
        "passed": True,
        "rule": "gain > 0",
        "finding": "Hiding lowers the logit by 1.14 more.",
        "shares": [0.0, 0.5, 1.0],
        "deletion": [0.0, -1.2, 0.3],
        "insertion": [0.3, 1.8, 0.0],
        "random_deletion": [0.0, 0.1, 0.3],
    },
}  # "unused" was not run


def population(seed: int) -> Population:
    """Return twenty stays, of which the second seed gives those of another place."""
    draw = np.random.default_rng(seed)
    measures = {(name, "mean_value"): draw.normal(seed, 1, 20) for name in VARIABLES}
    measures |= {(name, "share_of_steps_observed"): draw.random(20) for name in VARIABLES[:3]}
    measures |= {
        ("lactate", "share_of_stays_observed"): np.full(20, float(seed == 1))
    }  # constant: an infinite difference
    measures |= {("sepsis", "share_of_stays_with_event"): (draw.random(20) < 0.2 * seed).astype(float)}
    measures["length_hours", "length"] = np.log1p(draw.uniform(10, 40 * seed, 20))
    return Population(measures, frozenset({("length_hours", "length")}))


@pytest.fixture(scope="session")
def judged_run(build_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a complete run whose scores, curves, gaps, alarms, recalibration, shift and drivers the real code made."""
    run = build_run(tmp_path_factory.mktemp("judged"))
    judge(run.path)
    drive(run.path)
    run.mark("evaluate", "key", ["scores.parquet"], split="test")
    return run


@pytest.fixture(scope="session")
def judged_page(judged_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the page of the judged run."""
    from clinical_lstm.reporting import write_page

    return write_page(judged_run, tmp_path_factory.mktemp("judged") / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def build_run() -> Callable[..., Run]:
    """Give the builder: build_run(path, stays=..., variables=..., explain=...) -> Run."""

    def make(path: Path, count: int = 5, stays: list[str] | None = None, variables: list[str] | None = None, **options):
        return build(path / "sepsis_lstm", stays or stay_names(count), variables or VARIABLES, **options)

    return make


@pytest.fixture(scope="session")
def run(build_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a complete run with four shown stays."""
    return build_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the page of the complete run."""
    from clinical_lstm.reporting import write_page

    return write_page(run, tmp_path_factory.mktemp("page") / "index.html").read_text(encoding="utf-8")


@pytest.fixture()
def specs() -> Callable[[str], dict[str, Any]]:
    """Give a reader of the chart specifications in a page, by identifier."""

    def read(page: str) -> dict[str, Any]:
        found = {}
        for part in page.split('<script type="application/json" id="')[1:]:
            name, rest = part.split('">', 1)
            found[name] = json.loads(rest.split("</script>", 1)[0])
        return found

    return read


@pytest.fixture(scope="session")
def told_run(judged_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give the judged run with what the measurements of the last 4 h changed; its risks are sigmoids of the logits."""
    run = Run(tmp_path_factory.mktemp("told") / "sepsis_lstm")
    shutil.copytree(judged_run.path, run.path)
    shown = run.table("explained.parquet").filter(pl.col("reason").str.ends_with("_sample").not_())
    logit = (pl.col("risk") / (1 - pl.col("risk"))).log()
    changed = shown.with_columns(logit=logit, baseline_logit=logit - 0.75, gap=pl.lit(0.001))
    write_table(run.path / "changed.parquet", changed)
    recent = run.table("attributions.parquet").filter(pl.col("input_hours") > 44.0)
    write_table(run.path / "changes.parquet", recent)
    maps = [{"complication": name, "horizon_hours": hours, "kind": "identity"} for name, hours in TARGETS]
    write_json(run.path / "calibrator.json", [one | {"map": {"kind": "identity"}} for one in maps])
    run.mark("explain", "key", ["changed.parquet", "changes.parquet"], hours_back=4.0)
    return run
