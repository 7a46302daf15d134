"""How good it is, in whom, and how far that can be believed; one function per item, each `Known -> Fact`."""

from __future__ import annotations

from typing import Any

import polars as pl

from clinical_lstm.reporting import tables, words
from clinical_lstm.reporting.card import outcome
from clinical_lstm.reporting.card.known import FEWEST, UNJUDGED, Fact, Known, Table, Target, apart, small
from clinical_lstm.reporting.names import said
from clinical_lstm.schemas import SPLITS

GROUP_METRICS = ["auroc", "calibration_slope", "sensitivity", "ppv", "event_recall", "alarm_precision"]
GROUP_METRICS += ["false_alarms_per_patient_day"]
SCORES = ["scores.parquet"]
FEW_EVENTS = 100  # below it an interval of calibration is wide (Collins et al. 2016, doi 10.1002/sim.6787)


def summary(known: Known) -> Fact:
    """Say the main numbers of each target."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    says = []
    for target in known.targets:
        found = known.scored(target)
        parts = [
            _said(metric, found[metric])
            for metric in ("auroc", "auprc", "prevalence", "calibration_slope")
            if metric in found
        ]
        events = known.counts(known.split or "", target).get("events")
        of = f", {small(events)} stays with an event" if events is not None else ""
        says.append(f"{words.target(*target)}, on {known.judged}{of}: {'; '.join(parts)}.")
    return Fact(says, ["scores.parquet", "cohort.json"])


def _said(metric: str, score: dict[str, Any]) -> str:
    cell = tables.cell(score)
    return f"{tables.metric_name(metric)} {cell.value}" + (f" ({cell.interval})" if cell.interval else "")


def clusters(known: Known) -> Fact:
    """Say how places were told apart."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    if len(known.levels("site")) < 2:
        return Fact(exempt="the judged stays are of one place")
    return Fact(
        [f"Every measure is given for each of {len(known.levels('site'))} places apart; no model for each."], SCORES
    )


def measures(known: Known) -> Fact:
    """List measures and rivals."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    names = sorted({metric for target in known.targets for metric in known.scored(target)})
    rivals = sorted({name for name in known.scores["predictor"] if " - " not in name and name != "model"})
    says = [f"Measures: {', '.join(map(tables.metric_name, names))}."]
    if known.curves:
        says.append(f"Curves: {', '.join(known.curves)}.")
    says.append(
        f"Beside: {', '.join(words.plain(name) for name in rivals) or 'no other predictor'}; same rows and labels."
    )
    says.append("Intervals of 95 % come from a bootstrap that draws patients, not rows.")
    return Fact(says, ["scores.parquet", "curves.parquet"])


def performance(known: Known) -> Fact:
    """Tabulate all measures, and the main ones by group."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    rows = []
    for target in known.targets:
        for metric, score in known.scored(target).items():
            cell = tables.cell(score)
            rows.append([words.target(*target), tables.metric_name(metric), cell.value, cell.interval or "–"])
    whole = Table(f"All predictions of {known.judged}", ["Target", "Measure", "Value", "95 % interval"], rows)
    groups = [row for target in known.targets for row in _groups(known, target, known.subsets(target))]
    says = ["A dash: not defined, or too few patients to say."]
    return Fact(says, SCORES, [whole, _grouped("Parts of the predictions", groups)] if groups else [whole])


def heterogeneity(known: Known) -> Fact:
    """Tabulate the main measures by place."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    if len(known.levels("site")) < 2:
        return Fact(exempt="the judged stays are of one place")
    rows = [
        row for t in known.targets for row in _groups(known, t, [s for s in known.subsets(t) if s.startswith("site=")])
    ]
    return Fact([], SCORES, [_grouped("By place", rows)])


def _grouped(caption: str, rows: list[list[str]]) -> Table:
    """Return the table of parts without the columns that are empty."""
    head = ["Target", "Part", "Stays", "Positive", *map(tables.metric_name, GROUP_METRICS)]
    full = [k for k in range(len(head)) if k < 4 or any(row[k] != "–" for row in rows)]
    return Table(caption, [head[k] for k in full], [[row[k] for k in full] for row in rows])


def _groups(known: Known, target: Target, subsets: list[str]) -> list[list[str]]:
    """Return target, part, counts and main measures; nothing is told of a part with few stays or few positives."""
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for subset in subsets:
        facts = next(iter(known.scored(target, subset).values()), None)
        if facts:
            counts.setdefault(subset.split("=")[0], {})[subset] = (facts["n_stays"], facts["n_positives"])
    rows = []
    for parts in counts.values():
        stays, positives = (apart({name: pair[k] for name, pair in parts.items()}) for k in (0, 1))
        for name, pair in parts.items():
            found = known.scored(target, name) if min(pair) >= FEWEST else {}
            cells = [tables.cell(found.get(metric)) for metric in GROUP_METRICS]
            texts = [f"{cell.value} ({cell.interval})" if cell.interval else cell.value for cell in cells]
            rows.append([words.target(*target), tables.subset_name(name), stays[name], positives[name], *texts])
    return rows


def fairness(known: Known) -> Fact:
    """Say which groups were judged apart."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    found = {name for target in known.targets for name in known.subsets(target) if "=" in name}
    dimensions = sorted({name.split("=")[0] for name in found} - {"hours"})  # hours are no group of patients
    listed = "; ".join(f"{words.plain(name).lower()}: {', '.join(known.levels(name))}" for name in dimensions)
    says = ["One model, one calibration and one threshold for all; no group is treated apart."]
    says.append(f"Judged apart: {listed}; see T23a." if listed else "No group was judged apart.")
    absent = [name for name in ("sex", "age") if name not in dimensions]
    says += [f"Not judged apart: {words.listed(absent)}."] if absent else []
    return Fact([*says, *_gaps(known)], [*SCORES, "gaps.parquet"])


def _gaps(known: Known) -> list[str]:
    """Return the differences of AUROC between groups that are beyond the interval for all of them at once."""
    if known.gaps is None:
        return []
    own = known.gaps.filter(pl.col("predictor") == "model", pl.col("metric") == "auroc", pl.col("value").is_not_null())
    beyond = own.filter((pl.col("simultaneous_low") > 0) | (pl.col("simultaneous_high") < 0))
    says = [
        f"Differences of AUROC from the largest group of the same kind: {own.height}, beyond chance: {beyond.height}."
    ]
    for row in beyond.sort("complication", "horizon_hours", "dimension", "level").iter_rows(named=True):
        cell = tables.cell(
            {"value": row["value"], "low": row["simultaneous_low"], "high": row["simultaneous_high"]}, sign=True
        )
        who = f"{words.plain(row['dimension']).lower()} {row['level']} minus {row['reference']}"
        says.append(
            f"{words.target(row['complication'], row['horizon_hours'])}, {who}: {cell.value} ({cell.interval})."
        )
    return says


def verdicts(known: Known) -> Fact:
    """Say how the model stands beside the others."""
    if known.scores is None:
        return Fact(lacks=UNJUDGED)
    several = len(known.targets) > 1
    found = [(words.target(*target), said(text)) for target in known.targets for text in known.ranking(target)]
    return Fact([f"{name}: {sentence}" if several else sentence for name, sentence in found], ["summary.json"])


def limits(known: Known) -> Fact:
    """List the limits that follow from how it was made."""
    says = [
        "Records of the past, of one source: another hospital, another time or other charting can change every number.",
        "Nothing here shows that acting on an alarm helps a patient.",
        "What is measured, and when, is a decision of the staff; a model can learn from that decision.",
    ]
    if known.task.get("after_onset_hours"):
        says.append(
            "Some predictions after onset count as positive; for early warning read the part before onset only."
        )
    for target in known.targets:
        judged = [known.counts(name, target).get("events") for name in SPLITS if name == known.split]
        if judged and judged[0] is not None and judged[0] < FEW_EVENTS:
            says.append(
                f"{words.target(*target)}: {small(judged[0])} stays with an event were judged, so intervals are wide."
            )
    for row in known.cohort.get("one_sided") or []:
        name = words.target(row["complication"], float(row["horizon_hours"]))
        says.append(f"{name}: at {row['hours']} hours of a stay every label is positive, by how the records end.")
    says += [f"{words.complication(one.name)}: {one.limits}" for one in outcome.definitions(known) if one.limits]
    return Fact(says, ["cohort.json", "manifest.json", *outcome.files(known)])


def explanations(known: Known) -> Fact:
    """Say whether explanations add up."""
    found = known.checks
    if not found:
        return Fact(lacks="the run has not been explained")
    tolerance, gap = words.number(found.get("tolerance")), words.number(found.get("max_gap"))
    says = [f"Complete to {tolerance} logit: {found.get('n_explained')} of {found.get('n')} predictions explained."]
    says.append(f"Largest gap: {gap} logit.")
    says.append("A contribution says what the model used. It is neither a cause nor advice for treatment.")
    return Fact(says, ["checks.json"])
