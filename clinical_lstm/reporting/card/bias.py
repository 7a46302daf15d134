"""Signalling questions of PROBAST+AI, answered only as far as facts of the run decide them: `Known -> Fact`.

A fact without a verdict leaves the answer to a human. No function rates a risk of bias: that is a reader's judgement.
Source: Moons et al., BMJ 388:e082505 (2025), doi 10.1136/bmj-2024-082505.
"""

from __future__ import annotations

from dataclasses import replace

from clinical_lstm.reporting import tables, words
from clinical_lstm.reporting.card import model, outcome, study
from clinical_lstm.reporting.card.known import UNJUDGED, Fact, Known, small

YES, NO, PARTLY, STATED, UNKNOWN = "yes", "no", "in part", "stated", "no information"


def unknown(why: str) -> Fact:
    """Return the answer "no information", which is no good news."""
    return Fact(lacks=why, verdict=UNKNOWN)


def sources(known: Known) -> Fact:
    """Repeat where the data come from."""
    return study.sources(known)


def design(known: Known) -> Fact:
    """Say what kind of data these are."""
    return Fact(
        ["Records of stays, looked at in retrospect; each hour is predicted from what was known by then."],
        ["cohort.json"],
    )


def selection(known: Known) -> Fact:
    """Say how many stays were kept."""
    steps = known.cohort.get("funnel") or []
    if not steps:
        return Fact()
    says = (
        f"{words.count(steps[-1]['stays'])} of {words.count(steps[0]['stays'])} stays of the source are in the cohort."
    )
    return Fact([says], ["cohort.json"])


def measured_alike(known: Known) -> Fact:
    """Say what is common to all measurements."""
    return Fact(
        ["One name, unit and plausible range per variable; how each ward measures is not known."], ["cohort.json"]
    )


def processed_alike(known: Known) -> Fact:
    """Say that one code processed all."""
    if known.scaler is None:
        return unknown("the run does not hold its scaling")
    says = "One code for all stays; the constants of scaling are those of the train split, for every split."
    return Fact([says], ["scaler.parquet", "cohort.json"], verdict=YES)


def unaware(known: Known) -> Fact:
    """Say what kind of records the predictors are."""
    return Fact(
        ["Charted in routine care, with its stamp; whether with an eye on the outcome is not recorded."],
        ["cohort.json"],
    )


def available(known: Known) -> Fact:
    """Say what the model sees at a prediction time."""
    says = [
        "Only values stamped at or before the prediction are seen.",
        "Whether a value is in the system by its stamp is not known.",
    ]
    return Fact(says, ["manifest.json"])


def outcome_alike(known: Known) -> Fact:
    """Say whether one rule found all outcomes."""
    if outcome.stated(known) is not False:
        return Fact(["The data set states the outcome."], ["manifest.json"])
    says = ["One rule, applied by one code to every stay."]
    for row in known.cohort.get("complications") or []:
        judged, stays = words.count(row.get("stays_judged")), words.count(row.get("stays"))
        says.append(f"{words.complication(row['complication'])}: {judged} of {stays} stays have what the rule needs.")
    return Fact(says, ["cohort.json", *outcome.files(known)], verdict=YES)


def outcome_apart(known: Known) -> Fact:
    """Say which predictors the outcome's rule reads too."""
    if outcome.stated(known) is not False:
        return Fact(["The data set states the outcome; how it got there is not recorded."], ["manifest.json"])
    shared = {name for one in outcome.definitions(known) for name in one.uses} & set(known.variables)
    if not shared:
        return Fact(["The rule reads no predictor."], ["manifest.json", *outcome.files(known)], verdict=YES)
    listed = words.listed([words.label(name) for name in sorted(shared)])
    says = f"The rule reads predictors too, at later hours: {listed}."
    return Fact([says], ["manifest.json", *outcome.files(known)], verdict=NO)


def size_to_learn(known: Known) -> Fact:
    """Say how many events there are to learn from."""
    found = study.size(known)
    return unknown(found.lacks) if found.lacks else replace(found, verdict=STATED)


def size_to_judge(known: Known) -> Fact:
    """Say how many events were judged, and how wide the interval of the AUROC is."""
    says = []
    for target in known.targets:
        events, score = known.counts(known.split or "", target).get("events"), known.scored(target).get("auroc")
        parts = [f"{small(events)} stays with an event"] if events is not None else []
        if score and score["low"] is not None and score["high"] is not None:
            parts.append(f"the interval of the AUROC is {words.decimals(score['high'] - score['low'])} wide")
        says += [f"{words.target(*target)}: {', '.join(parts)}."] if parts else []
    if not says:
        return unknown(UNJUDGED)
    return Fact(says, ["cohort.json", "scores.parquet"], verdict=STATED)


def scales(known: Known) -> Fact:
    """Say that no number is cut into classes."""
    says = "Numbers stay numbers: none is cut at a threshold, and categories are 0/1."
    if any(one.get("encoding") == "piecewise" for one in model.networks(known)):
        says = "Numbers are written piecewise linearly between quantiles of the train split, which keeps their order."
    return Fact([says], ["manifest.json"], verdict=YES)


def incomplete(known: Known) -> Fact:
    """Say how missing values and the end of records are treated."""
    kept = "a stay that ends without an event counts as free of it"
    if known.task.get("censoring"):
        kept = "hours whose horizon ends after the record, without an onset, are left out as unknown"
    says = [
        "No stay is left out for a missing value, and none is imputed on disk (T11).",
        f"Where a record ends, {kept}.",
    ]
    says.append("Death and discharge are not modelled as competing events.")
    return Fact(says, ["manifest.json", "cohort.json"], verdict=STATED)


def imbalance(known: Known) -> Fact:
    """Say whether weighting was undone by calibration."""
    found = model.imbalance(known)
    if found.lacks:
        return unknown(found.lacks)
    if not model.weighted(known):
        return Fact(exempt="every row at risk weighs the same; nothing was to be set right")
    asked = known.training.get("calibration") != "identity"
    return replace(found, verdict=YES if known.calibrator and asked else NO)


def overfitting(known: Known) -> Fact:
    """List what was done against overfitting; how much there is, is not known."""
    settings = [known.training, *model.networks(known)]
    used = [text for name, text in model.REGULARISERS.items() if any(one.get(name) for one in settings)]
    if known.training.get("patience"):
        used.append("stopping by the validation split")
    if known.manifest.get("members"):
        used.append("averaging of models")
    says = [f"Used: {', '.join(used) or 'nothing that the run records'}."]
    says.append(
        "The measures on the train split are not recorded, so how much it overfits is not known: no information."
    )
    return Fact(says, ["manifest.json"], verdict=PARTLY if used else NO)


def unseen(known: Known) -> Fact:
    """Say whether other patients were judged than those learnt from."""
    if known.scores is None or known.split is None:
        return unknown("the run does not say which split was judged")
    if known.split == "test":
        return Fact(["The test split was judged, which served no other step."], ["done/evaluate.json"], verdict=YES)
    used = model.ROLES.get(known.split, "another step")
    return Fact([f"The {known.split} split was judged, which also served: {used}."], ["done/evaluate.json"], verdict=NO)


def judged_unweighted(known: Known) -> Fact:
    """Say that rows were judged at their own prevalence."""
    if known.scores is None:
        return unknown(UNJUDGED)
    if not model.weighted(known):
        return Fact(exempt="no row was given more weight in the training either")
    return Fact(["Every row at risk counts once, at the prevalence of the data."], ["scores.parquet"], verdict=YES)


def leakage(known: Known) -> Fact:
    """Say which constants were fitted where, and whether a patient is in two splits."""
    found = known.cohort.get("leakage") or {}
    if "patients_in_two_splits" not in found or known.split is None:
        return unknown("the run lacks the count of patients in two splits, or the judged split")
    torn, fitted = found["patients_in_two_splits"], found.get("fitted_on")
    chosen = sorted({str(row.get("chosen_on")) for row in [*known.thresholds, *known.alarms]})
    says = [f"Patients in two splits: {torn}.", f"Scaling was fitted on: {fitted}.", "Risks were calibrated on: calib."]
    says += [f"Thresholds were chosen on: {', '.join(chosen)}."] if chosen else []
    clean = torn == 0 and fitted == "train" and known.split not in {"train", "calib", "val", *chosen}
    files = ["cohort.json", "thresholds.json", *(["alarms.json"] if known.alarms else []), "done/evaluate.json"]
    return Fact(says, files, verdict=YES if clean else NO)


def resampling(known: Known) -> Fact:
    """Say that patients are resampled for intervals only."""
    return Fact(exempt="the model is judged on a split; patients are resampled for the intervals only")


def measures(known: Known) -> Fact:
    """Say which kinds of measures there are; calibration with its interval."""
    if known.scores is None:
        return unknown(UNJUDGED)
    says, lacking = [], set()
    for target in known.targets:
        found = {metric: score for metric, score in known.scored(target).items() if score["value"] is not None}
        lacking |= {"calibration_slope", "auroc"} - set(found)
        for metric in ("calibration_slope", "calibration_intercept", "auroc"):
            if metric in found:
                cell = tables.cell(found[metric])
                said = f"{tables.metric_name(metric)} {cell.value} ({cell.interval or 'no interval'})"
                says.append(f"{words.target(*target)}: {said}.")
    metrics = known.scores["metric"].unique().sort()
    benefit = "decision" in known.curves or metrics.str.contains("net_benefit").any()
    says.append("Net benefit: " + ("computed, over thresholds." if benefit else "not computed."))
    verdict = NO if lacking else YES if benefit else PARTLY
    return Fact(says, ["scores.parquet", "curves.parquet"], verdict=verdict)
