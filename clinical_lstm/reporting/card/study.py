"""What was studied: sources, patients, predictors, sizes; one function per item, each `Known -> Fact`."""

from __future__ import annotations

from clinical_lstm.reporting import records, words
from clinical_lstm.reporting.card.known import FEWEST, UNJUDGED, Fact, Known, Table, apart, small
from clinical_lstm.schemas import SPLITS
from clinical_lstm.variables import vocabulary

SPLIT_WAYS = {
    "table": "patients are in the splits that a file names",
    "temporal": "patients are in the splits by the time of their first admission",
    "site": "the judged patients are those of one hospital, which the others do not include",
    "fold": "the judged patients are one fold, drawn by a hash of the patient",
}
SAME_RECORDS = "Setting, eligibility, outcome and predictors are the same: one source, one code."


def title(known: Known) -> Fact:
    """Say what kind of study it is."""
    wanted = words.listed([words.target(*target) for target in known.targets])
    whom = known.source.get("title") or known.source.get("name") or "a source that the run does not name"
    model = (known.manifest.get("model") or {}).get("name", "")
    says = f"Development and evaluation of a prediction model ({model}) of: {wanted}. Stays of: {whom}."
    return Fact([says], ["manifest.json", "cohort.json"])


def objectives(known: Known) -> Fact:
    """Say what the run set out to do."""
    how = f"and to judge it on {known.judged}" if known.scores is not None else "(it has not been judged yet)"
    says = f"To learn a calibrated risk of each target from measurements up to now {how}, beside simpler predictors."
    return Fact([says], ["manifest.json"])


def sources(known: Known) -> Fact:
    """Say where the data come from."""
    source = known.source
    if not source:
        return Fact(lacks="the run does not record its source")
    says = [f"{source.get('title') or source.get('name')}. {source.get('citation', '')}".strip()]
    if source.get("licence"):
        says.append(f"Licence: {source['licence']}.")
    if files := source.get("files"):
        many = next((name for name in files if name.startswith("all ")), f"{len(files)} files")
        says.append(f"Input: {many}, with their SHA-256 in cohort.json.")
    return Fact(says, ["cohort.json"])


def dates(known: Known) -> Fact:
    """Say that the run keeps no calendar dates."""
    return Fact(["The run keeps hours since admission, and no calendar dates."], ["cohort.json"])


def sites(known: Known) -> Fact:
    """Say how many places were judged."""
    names = known.levels("site")
    text = f"Places among the judged stays: {len(names)} ({', '.join(names)})." if names else ""
    return Fact([text] if text else [], ["scores.parquet"] if text else [])


def eligibility(known: Known) -> Fact:
    """Say which stays and hours count."""
    task = known.task
    says = [
        "A stay counts with a measurement, a step of the grid and a prediction time at risk; the table of T20a counts."
    ]
    says.append(
        "An hour counts where the patient is at risk: not inside an episode"
        + (", and where the record shows the whole horizon or an onset in it." if task.get("censoring") else ".")
    )
    if task.get("min_history_hours"):
        says.append(f"No prediction in the first {words.duration(task['min_history_hours'])}.")
    if task.get("after_onset_hours"):
        says.append(f"Kept after onset, as the benchmark does: {words.duration(task['after_onset_hours'])}, marked.")
    return Fact(says, ["cohort.json", "manifest.json"])


def treatments(known: Known) -> Fact:
    """Say which treatments are among the predictors."""
    kinds = vocabulary()
    found = [words.label(name) for name in known.variables if name in kinds and kinds[name].kind == "treatment"]
    return Fact([f"Treatments among the predictors: {words.listed(found) if found else 'none'}."], ["manifest.json"])


def preparation(known: Known) -> Fact:
    """Say what was refused while cleaning."""
    refused = known.cohort.get("rejects") or {}
    listed = ", ".join(f"{words.plain(rule).lower()} {words.count(n)}" for rule, n in sorted(refused.items()))
    says = ["A measurement outside the plausible range of its variable is refused, never clipped; units are converted."]
    says.append(f"Refused measurements by rule: {listed or 'none'}.")
    says.append("One code and one set of ranges for all stays, whatever the site, age or sex.")
    return Fact(says, ["cohort.json"])


def candidates(known: Known) -> Fact:
    """Say how the predictors were chosen."""
    measured, static = len(known.manifest.get("variables", [])), len(known.manifest.get("statics", []))
    says = (
        f"All that the source records and the vocabulary knows: {measured} measured over time, {static} at admission."
    )
    return Fact([says, "None was chosen or dropped by its relation to the outcome."], ["manifest.json"])


def predictors(known: Known) -> Fact:
    """List the predictors with units, ranges and how often they are there."""
    head = ["Predictor", "Unit", "Plausible", "Measurements", "Stays with any", "Steps with one"]
    rows = [
        [
            row["label"],
            row["unit"],
            row["plausible"],
            row["observations"],
            *map(words.percent, (row["stays"], row["steps"])),
        ]
        for row in records.coverage(known.cohort, known.variables)
    ]
    says = ["Only what is stamped at or before the prediction time is seen."]
    return Fact(says, ["manifest.json", "cohort.json"], [Table("Predictors", head, rows)])


def size(known: Known) -> Fact:
    """Say how many events there are for each weight and predictor."""
    says = []
    for target in known.targets:
        found = known.counts("train", target)
        if found:
            says.append(f"{words.target(*target)}: {per_parameter(known, found['events'])}.")
    says.append("The size is that of the source; no sample size was computed beforehand.")
    return Fact(says, ["cohort.json", "manifest.json"], lacks="" if len(says) > 1 else "the run records no splits")


def per_parameter(known: Known, events: int) -> str:
    """Return the events to learn from, per trainable weight and per candidate predictor."""
    weights, listed = known.manifest.get("parameters"), len(known.variables)
    parts = [f"{small(events)} stays with an event to learn from"]
    if events >= FEWEST and weights and listed:
        parts.append(f"{words.number(events / weights)} per trainable weight ({words.count(weights)})")
        parts.append(f"{words.number(events / listed)} per candidate predictor ({listed})")
    return ", ".join(parts)


def missing(known: Known) -> Fact:
    """Say how absent values are treated."""
    says = ["Nothing is imputed on disk; a stay is left out only where nothing at all was measured."]
    says.append(
        "The model may see, per variable and step: the last value (before the first: the train median), whether it was "
        "measured in the step, and how long ago; which of these it was given stands in T12b and T12c."
    )
    shares = [c["steps_share"] for c in (known.cohort.get("coverage") or {}).values() if "steps_share" in c]
    if shares:
        low, high = words.percent(min(shares)), words.percent(max(shares))
        says.append(f"Steps in which a variable is measured: from {low} to {high}; the table of T9b lists all.")
    return Fact(says, ["cohort.json"])


def split_way(known: Known) -> str:
    """Return how the splits were made: a key of `SPLIT_WAYS`, or `random`."""
    settings = known.cohort.get("split") or {}
    ways = [way for way in SPLIT_WAYS if settings.get(way) is not None and settings[way] is not False]
    return ways[0] if ways else "random" if settings else ""


def difference(known: Known) -> Fact:
    """Say in what the judged data differ from those learnt from."""
    way = split_way(known)
    if not way:
        return Fact(lacks="the run does not record how its splits were made")
    within = ", within site and outcome" if (known.cohort.get("split") or {}).get("stratify") else ""
    how = SPLIT_WAYS.get(way, f"patients are drawn into the splits by a hash of the patient{within}")
    return Fact(
        [f"{how[0].upper()}{how[1:]}. {SAME_RECORDS}", "There is no external evaluation in this run."], ["cohort.json"]
    )


def flow(known: Known) -> Fact:
    """Tabulate the way from the source to the cohort."""
    steps = known.cohort.get("funnel") or []
    if not steps:
        return Fact(lacks="the run records no funnel")
    rows = [[step["step"], words.count(step["stays"]), words.count(step["observations"] or None)] for step in steps]
    return Fact([], ["cohort.json"], [Table("From the source to the cohort", ["Step", "Stays", "Measurements"], rows)])


def characteristics(known: Known) -> Fact:
    """Tabulate the judged stays by group, small counts hidden."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    rows = []
    for target in known.targets[:1]:
        groups: dict[str, dict[str, int]] = {}
        for subset in known.subsets(target):
            dimension, _, level = subset.partition("=")
            if level and dimension != "hours" and (found := known.scored(target, subset)):
                groups.setdefault(dimension, {})[level] = next(iter(found.values()))["n_stays"]
        rows = [[words.plain(d), level, text] for d in sorted(groups) for level, text in apart(groups[d]).items()]
    if not rows:
        return Fact(["No groups of patients were judged apart."], ["scores.parquet"])
    return Fact([], ["scores.parquet"], [Table(f"Stays of {known.judged}", ["Group", "Level", "Stays"], rows)])


def shift(known: Known) -> Fact:
    """Say whether predictors can be spread differently."""
    if split_way(known) in ("random", "fold"):
        return Fact(exempt="patients were drawn into the splits at random, so that they differ by chance only")
    return Fact()


def counts(known: Known) -> Fact:
    """Tabulate stays, predictions and events of each split."""
    rows = []
    for name in SPLITS:
        for target in known.targets:
            if found := known.counts(name, target):
                sizes = [words.count(found[key]) for key in ("stays", "patients", "rows")]
                rows.append([name, words.target(*target), *sizes, small(found["positives"]), small(found["events"])])
    if not rows:
        return Fact(lacks="the run records no splits")
    head = ["Split", "Target", "Stays", "Patients", "Predictions", "Positive", "Stays with an event"]
    return Fact([], ["cohort.json"], [Table("Splits, by patient", head, rows)])
