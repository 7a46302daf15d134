"""How the model was made and what comes out of it; one function per item, each `Known -> Fact`."""

from __future__ import annotations

from typing import Any

from clinical_lstm.reporting import records, words
from clinical_lstm.reporting.card.known import Fact, Known, Table

ROLES = {
    "train": "weights, scaling and every other constant learnt from data",
    "val": "when to stop, and the alarm thresholds",
    "calib": "the calibration of the risks",
    "test": "judging, and nothing else",
}
POLICY = ["threshold", "silence_hours", "reset_hours", "budget", "rule", "chosen_on"]
REGULARISERS = {
    "dropout": "dropout",
    "variable_dropout": "hiding of whole variables",
    "noise": "noise on measurements",
    "weight_decay": "weight decay",
    "ema_decay": "average of the weights over steps",
    "swa_epochs": "average of the weights over epochs",
    "distil_weight": "a cross-fitted teacher",
}


def partition(known: Known) -> Fact:
    """Say which split served which step."""
    there = known.cohort.get("splits") or {}
    if not there:
        return Fact(lacks="the run records no splits")
    says = [f"{name}: {role}." for name, role in ROLES.items() if name in there]
    return Fact([*says, f"Judged here: {known.judged}." if known.split else "Not judged yet."], ["cohort.json"])


def inputs(known: Known) -> Fact:
    """Say how predictors are scaled and written."""
    says, files = [], ["manifest.json"]
    if known.scaler is not None:
        files.append("scaler.parquet")
        rows = known.scaler.sort("variable")
        logged = [words.label(name) for name, log in rows.select("variable", "log").iter_rows() if log]
        says.append(f"Each of {rows.height} predictors is shifted and scaled by constants of the train split.")
        says.append(f"Of log(1 + x): {', '.join(logged) or 'none'}.")
    given = arguments(known).get("inputs")
    settings = records.settings(given if isinstance(given, dict) else {"inputs": given} if given else {})
    if settings:
        says.append(f"Written as: {', '.join(f'{name} = {value}' for name, value in settings)}.")
    return Fact(says, files, lacks="" if says else "the run records neither its scaling nor its inputs")


def arguments(known: Known) -> dict[str, Any]:
    """Return the arguments of the model."""
    return dict((known.manifest.get("model") or {}).get("arguments") or {})


def networks(known: Known) -> list[dict[str, Any]]:
    """Return the arguments of the network, or of each one that is averaged, those of its inputs among them."""
    own = arguments(known)
    each = own.get("members") or [own]
    return [{**one, **(one["inputs"] if isinstance(one.get("inputs"), dict) else {})} for one in each]


def building(known: Known) -> Fact:
    """Say what the model is and how it was trained."""
    manifest = known.manifest
    says = [
        f"{(manifest.get('model') or {}).get('name')}, {words.count(manifest.get('parameters'))} trainable weights."
    ]
    if manifest.get("best_epoch"):
        chosen = "validation" if known.training.get("keep", "best") == "best" else "being the last"
        says.append(
            f"Epoch {manifest['best_epoch']} of {known.epochs or 'those trained'} was kept, chosen by {chosen}."
        )
    if manifest.get("members"):
        says.append(f"The mean of {len(manifest['members'])} trained models, on the logit.")
    groups = {"Model": arguments(known), "Training": known.training}
    tables = [
        Table(name, ["Setting", "Value"], [list(row) for row in records.settings(content)])
        for name, content in groups.items()
        if content
    ]
    return Fact([*says, f"Seed: {manifest.get('seed')}."], ["manifest.json", "history.csv", "config.yaml"], tables)


def updating(known: Known) -> Fact:
    """Say whether judging changed the model."""
    kinds = ", ".join(sorted({str(row.get("kind")) for row in known.calibrator}))
    says = ["No: nothing is fitted after the model has been judged."]
    if kinds:
        says.append(f"The risks were calibrated before ({kinds}), on the calib split.")
    return Fact(says, ["calibrator.json"] if kinds else ["manifest.json"])


def updated(known: Known) -> Fact:
    """Say that there are no results of updating."""
    return Fact(exempt="the model was not updated after it was judged")


def computing(known: Known) -> Fact:
    """Say how to get a risk for a new patient."""
    says = [
        f"clinical-lstm predict run={known.name} source=... source.root=... writes a risk for every prediction time.",
        "Measurements are cleaned, scaled by the stored constants, run through the weights, and calibrated by target.",
    ]
    return Fact(says, ["model.json", "weights.safetensors", "scaler.parquet", "calibrator.json"])


def weighted(known: Known) -> str:
    """Return what gave rare events more weight in the loss; empty for nothing."""
    parts = []
    if (weighting := known.training.get("weighting", "uniform")) != "uniform":
        parts.append(f"rows weighted by {weighting}")
    loss = known.training.get("loss", "bce")
    name = loss.get("name", "bce") if isinstance(loss, dict) else loss
    if name not in ("bce", "survival"):
        parts.append(f"loss {name}")
    return " and ".join(parts)


def imbalance(known: Known) -> Fact:
    """Say whether rare events got more weight, and whether that was taken back."""
    if not known.training:
        return Fact(lacks="the run does not record how it was trained")
    if known.manifest.get("members") and not {"weighting", "loss"} <= set(known.training):
        return Fact(lacks="the averaged models were trained with different losses")
    how, kinds = weighted(known), ", ".join(sorted({str(row.get("kind")) for row in known.calibrator}))
    if not how:
        return Fact(
            ["No: every row at risk weighs the same in the loss; none was drawn more often."], ["manifest.json"]
        )
    back = (
        f"The risks were then calibrated on unweighted rows of the calib split ({kinds})."
        if kinds
        else "No calibration."
    )
    return Fact([f"Yes: {how}.", back], ["manifest.json", "calibrator.json"])


def output(known: Known) -> Fact:
    """Say what comes out, and how thresholds were chosen."""
    says = ["A risk in (0, 1) per target and prediction time, never falling with the horizon."]
    listed, file = (known.alarms, "alarms.json") if known.alarms else (known.thresholds, "thresholds.json")
    if not listed:
        return Fact([*says, "No alarm threshold."], ["manifest.json"])
    columns = [name for name in POLICY if any(row.get(name) is not None for row in listed)]
    rows = [
        [words.target(row["complication"], float(row["horizon_hours"])), *(_cell(name, row) for name in columns)]
        for row in listed
    ]
    says.append("An alarm is a risk at or above the threshold, chosen by the rule on the split that stands beside it.")
    return Fact(says, [file], [Table("Alarms", ["Target", *map(words.plain, columns)], rows)])


def _cell(name: str, row: dict[str, Any]) -> str:
    value = row.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return words.percent(value) if name == "threshold" else words.number(value)
    settings = records.settings(value if isinstance(value, dict) else {"": value})
    return "–" if value is None else ", ".join(f"{key} = {text}" if key else text for key, text in settings)


def specification(known: Known) -> Fact:
    """Say what is needed to use the model elsewhere."""
    says = ["The run directory is the whole model: weights, scaling, vocabulary, task, calibration, thresholds."]
    if known.weights:
        says.append(f"SHA-256 of the weights: {known.weights}.")
    licence = known.source.get("licence")
    says.append(f"Licence of the data it learnt from: {licence or 'not recorded; ask before passing the weights on'}.")
    return Fact(says, ["done/train.json", "cohort.json"])


def poor_input(known: Known) -> Fact:
    """Say what happens to poor or absent input."""
    says = [
        "An implausible value is refused, as in training, and counts as not measured.",
        "A wrong unit is not noticed where the number stays plausible.",
        "A risk is stated even where nothing is measured: from what is missing, and from the hours since admission.",
    ]
    return Fact(says, ["scaler.parquet"])


def software(known: Known) -> Fact:
    """Say which software and seeds made the run."""
    manifest = known.manifest
    versions = ", ".join(f"{name} {version}" for name, version in sorted((manifest.get("versions") or {}).items()))
    says = [f"Versions: {versions or 'not recorded'}.", f"Seed: {manifest.get('seed')}."]
    says.append(
        f"Code: commit {manifest['git_commit']}." if manifest.get("git_commit") else "Code: no commit recorded."
    )
    files = ["manifest.json"]
    if known.packages:
        says.append(f"All {known.packages} installed packages stand in environment.txt.")
        files.append("environment.txt")
    if manifest.get("cohort_outputs"):
        says.append(f"SHA-256 of the cohort's files: {manifest['cohort_outputs']}.")
    return Fact(says, files)
