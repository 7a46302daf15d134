"""Which predictions to explain, their attributions as tables, what counts over a cohort, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.batch import Ragged, Scaler, assemble, pad_rows
from clinical_lstm.errors import InputError
from clinical_lstm.explainers.base import Explainer, Explanation
from clinical_lstm.lookback import sequences
from clinical_lstm.models.base import SequenceModel

REASONS = ["highest_risk", "missed_event", "false_alarm", "typical"]
SAMPLED = "cohort_sample"
CHANNELS = {"value": "values", "mask": "mask", "delta": "delta", "static": "static"}  # -> field of Explanation
TARGET = ["complication", "horizon_hours"]
KEY = ["stay_id", "hours", *TARGET]
CHOSEN = [*KEY, "reason", "risk"]
SAME_HOUR = 1e-6
TOGETHER = 256  # predictions explained at once: enough to fill the backward passes, few enough for the dense result


def choose(predictions: pl.DataFrame, threshold: float, per_reason: int = 3) -> pl.DataFrame:
    """Return the predictions of one target and split that a reader should see, at most `per_reason` of each reason.

    Every stay stands for itself once, at its highest risk before onset (the earliest such hour):

        highest_risk   an onset, risk >= threshold before it: the highest risks
        missed_event   an onset, the threshold never reached before it: the lowest risks
        false_alarm    no onset, risk >= threshold: the highest risks
        typical        no onset: the stays nearest to the median of the highest risks

    Without any label (new data) there is highest_risk, of all stays, and typical. Ties are broken by stay_id. Columns:
    stay_id, hours, complication, horizon_hours, reason, risk. Raises InputError on several targets or splits.

    >>> rows = {"stay_id": ["a", "a", "b"], "patient_id": ["a", "a", "b"], "split": ["test"] * 3, "hours": [1.0, 2, 1]}
    >>> rows |= {"complication": ["sepsis"] * 3, "horizon_hours": [6.0] * 3, "risk": [0.2, 0.7, 0.1]}
    >>> rows |= {"label": [0, 1, 0], "at_risk": [True] * 3, "after_onset": [False] * 3}
    >>> choose(pl.DataFrame(rows), threshold=0.5).select("stay_id", "hours", "reason", "risk").rows()
    [('a', 2.0, 'highest_risk', 0.7), ('b', 1.0, 'typical', 0.1)]
    """
    _one_target(predictions)
    stays = _highest(predictions)
    event, alarmed = pl.col("event"), pl.col("risk") >= threshold
    known = event.is_not_null()
    median = stays.filter(event.fill_null(False).not_())["risk"].median()
    falling, rising = -pl.col("risk"), pl.col("risk")
    rules = [
        (known.not_() | (event & alarmed), falling),
        (event & alarmed.not_(), rising),
        (event.not_() & alarmed, falling),
        (event.fill_null(False).not_(), (pl.col("risk") - pl.lit(median, pl.Float64)).abs()),
    ]
    chosen: list[pl.DataFrame] = []
    for reason, (belongs, order) in zip(REASONS, rules):
        taken = [stay for part in chosen for stay in part["stay_id"]]
        rows = stays.filter(belongs, pl.col("stay_id").is_in(taken).not_()).sort(order, "stay_id").head(per_reason)
        chosen.append(rows.with_columns(reason=pl.lit(reason)).select(CHOSEN))
    return pl.concat(chosen)


def sample_for_importance(predictions: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Return up to `n` random at-risk predictions of one target, each of another patient, in the columns of `choose`.

    Every patient has the same chance, however long the stay; the rows carry the reason "cohort_sample".
    """
    _one_target(predictions)
    generator = np.random.default_rng(seed)
    rows = predictions.filter("at_risk", pl.col("after_onset").not_()).sort("patient_id", "stay_id", "hours")
    rows = rows[generator.permutation(rows.height)].unique("patient_id", keep="first", maintain_order=True)
    rows = rows.sort("patient_id")
    rows = rows[generator.permutation(rows.height)].head(n)
    return rows.with_columns(reason=pl.lit(SAMPLED)).select(CHOSEN).sort("stay_id", "hours")


def explain(
    model: SequenceModel,
    ragged: Ragged,
    scaler: Scaler,
    stay_index: Mapping[str, int],
    targets: Sequence[tuple[str, float]],
    chosen: pl.DataFrame,
    explainer: Explainer,
    lookback_hours: float | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `schemas.Explained` and `schemas.Attributions` of the `chosen` predictions, both sorted by their keys.

    `stay_index` gives a stay's position in `ragged`, `targets` the order of the model's outputs. Only the steps up to
    a prediction are shown to a causal model, with a lookback those of its window. Attributions that are exactly 0 have
    no row; those of static variables stand at the prediction's own hour. A prediction chosen twice is explained once,
    under its first reason. Raises InputError when a chosen stay, hour or target does not exist.
    """
    chosen = chosen.unique(KEY, keep="first", maintain_order=True)
    where = _locate(chosen, ragged, stay_index, targets)
    at = where["at"].to_numpy()
    seen = sequences(ragged, lookback_hours, np.isin(np.arange(len(ragged.hours)), at))
    row, step = seen.place(at)
    where = where.with_columns(row=row, step=step).sort("step", *KEY)  # like lengths together: little padding
    explained: list[pl.DataFrame] = [schemas.Explained.create_empty()]
    attributions: list[pl.DataFrame] = [schemas.Attributions.create_empty()]
    for rows in where.iter_slices(TOGETHER):
        shown, index = seen.cut(rows["row"].to_numpy())
        batch = assemble(shown, index, scaler).tensors()
        step, target = (batch.lengths.new_tensor(rows[name].to_list()) for name in ("step", "target"))
        found = explainer(model, batch, step, target)
        hours = pad_rows(shown.hours, shown, index, batch.hours.shape[1], 0.0)  # (B, T)
        explained.append(_explained(rows, found))
        attributions.append(_attributions(rows, found, hours, scaler))
    key = [*KEY, "input_hours", "variable", "channel"]
    return (
        schemas.check(schemas.Explained, pl.concat(explained).sort(KEY), "the explained predictions"),
        schemas.check(schemas.Attributions, pl.concat(attributions).sort(key), "the attributions"),
    )


def importance(attributions: pl.DataFrame, explained: pl.DataFrame) -> pl.DataFrame:
    """Return what counts over a cohort: one row per target, variable and channel, the largest `mean_abs` first.

        a_n = sum over time of the attributions of the variable and channel in prediction n                        (1)
        mean_abs = mean_n |a_n|,    mean_signed = mean_n a_n        (logit), over the N predictions of the target  (2)

    Where there is a cohort sample it alone counts: the other predictions were chosen for being extreme. Predictions
    with `explained` False are left out; a variable that a prediction did not use counts 0 there.

    >>> key = {"stay_id": ["a", "a", "b"], "hours": 2.0, "complication": "death", "horizon_hours": 6.0}
    >>> cells = {"input_hours": [1.0, 2.0, 1.0], "variable": ["lactate"] * 3, "channel": ["value"] * 3}
    >>> attributions = pl.DataFrame(key | cells | {"attribution": [0.5, 0.25, -0.25]})
    >>> explained = attributions.select("stay_id", "hours", "complication", "horizon_hours").unique()
    >>> importance(attributions, explained.with_columns(explained=True, reason=pl.lit("typical"))).rows()
    [('death', 6.0, 'lactate', 'value', 0.5, 0.25)]
    """
    sampled = pl.col("reason") == SAMPLED
    trusted = explained.filter("explained", sampled | sampled.any().not_())
    cells = attributions.join(trusted.select(KEY), on=KEY, how="semi").with_columns(pl.col("channel").cast(pl.String))
    each = _sums(cells, [*KEY, "variable", "channel"], {"attribution": pl.col("attribution")})  # (1)
    signed = pl.col("attribution")
    totals = _sums(each, [*TARGET, "variable", "channel"], {"mean_abs": signed.abs(), "mean_signed": signed})
    counts = trusted.group_by(TARGET).agg(n=pl.len())
    means = totals.join(counts, on=TARGET).with_columns(pl.col("mean_abs", "mean_signed") / pl.col("n"))  # (2)
    order = [*TARGET, "mean_abs", "variable", "channel"]
    return means.drop("n").sort(order, descending=[name == "mean_abs" for name in order])


def checks(explained: pl.DataFrame, tolerance: float | None = None) -> dict[str, Any]:
    """Return whether the explanations may be believed: counts, gaps (logits) and model evaluations, fit for JSON.

    `tolerance` is the explainer's own, written beside the gaps; gaps and evaluations are None without predictions.
    """
    return {
        "n": explained.height,
        "n_explained": int(explained["explained"].sum()),
        "tolerance": tolerance,
        "max_gap": explained["gap"].max(),
        "median_gap": explained["gap"].median(),
        "median_evaluations": explained["evaluations"].median(),
        "max_evaluations": explained["evaluations"].max(),
    }


def _one_target(predictions: pl.DataFrame) -> None:
    for columns, what in ((TARGET, "targets"), (["split"], "splits")):
        found = predictions.select(columns).unique().sort(columns).rows()
        if len(found) > 1:
            raise InputError(f"the predictions hold {len(found)} {what}, {found}; give the rows of one of them")


def _highest(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return one row per stay: its highest risk before onset, and `event`, null where no outcome is known at all."""
    if predictions["label"].is_not_null().any():
        onset = ((pl.col("label") == 1) | pl.col("after_onset")).any().over("stay_id")
        rows = predictions.filter(pl.col("label").is_not_null()).with_columns(event=onset)
        rows = rows.filter("at_risk", pl.col("after_onset").not_())
    else:
        rows = predictions.with_columns(event=pl.lit(None, pl.Boolean))
    return rows.sort("stay_id", -pl.col("risk"), "hours").unique("stay_id", keep="first", maintain_order=True)


def _locate(
    chosen: pl.DataFrame, ragged: Ragged, stay_index: Mapping[str, int], targets: Sequence[tuple[str, float]]
) -> pl.DataFrame:
    """Return `chosen` with the positions `at` (among the flat steps) and `target` (in the outputs)."""
    found, faults = [], []
    outputs = {target: k for k, target in enumerate(targets)}
    for stay_id, hours, *target in chosen.select(KEY).iter_rows():
        stay, output = stay_index.get(stay_id), outputs.get(tuple(target))
        if stay is None or output is None:
            faults.append(f"{'stay ' + stay_id if stay is None else 'target ' + str(tuple(target))} is unknown")
            continue
        begin = int(ragged.step_offsets[stay])
        grid = ragged.hours[begin : ragged.step_offsets[stay + 1]]
        step = int(np.searchsorted(grid, hours - SAME_HOUR))
        if step == len(grid) or grid[step] > hours + SAME_HOUR:
            faults.append(f"stay {stay_id} has no step at hour {hours}")
            continue
        found.append((begin + step, output))
    if faults:
        raise InputError(f"{len(faults)} of {chosen.height} predictions cannot be explained, first: {faults[0]}")
    positions = pl.DataFrame(found, schema={"at": pl.Int64, "target": pl.Int64}, orient="row")
    return pl.concat([chosen, positions], how="horizontal")


def _explained(rows: pl.DataFrame, found: Explanation) -> pl.DataFrame:
    columns = {name: getattr(found, name) for name in ("logit", "baseline_logit", "gap", "evaluations", "explained")}
    return rows.select(CHOSEN).with_columns(pl.Series(name, column) for name, column in columns.items())


def _attributions(rows: pl.DataFrame, found: Explanation, hours: np.ndarray, scaler: Scaler) -> pl.DataFrame:
    """Return the nonzero cells as rows; `hours` (B, T) are the steps' ends."""
    tables = []
    for channel, field in CHANNELS.items():
        part, names = getattr(found, field), scaler.statics if channel == "static" else scaler.variables
        cells = np.nonzero(part)  # rows first, variables last
        row, variable = pl.Series(cells[0]), pl.Series(cells[-1])
        table = rows.select(KEY)[row].with_columns(
            input_hours=pl.col("hours") if channel == "static" else pl.Series(hours[cells[:2]]),
            variable=pl.Series(names, dtype=pl.String).gather(variable),
            channel=pl.lit(channel, pl.Enum(list(CHANNELS))),
            attribution=pl.Series(part[cells]),
        )
        tables.append(table)
    return pl.concat(tables)


def _sums(table: pl.DataFrame, keys: list[str], columns: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Return the sums of `columns` per group, added up in the order of the sorted table: same input, same bits."""
    table = table.sort(keys, maintain_order=True)
    group = table.select(pl.struct(keys).rle_id()).to_series().to_numpy()
    sums = {name: np.bincount(group, table.select(column).to_series().to_numpy()) for name, column in columns.items()}
    return table.select(keys).unique(maintain_order=True).with_columns(pl.Series(name, s) for name, s in sums.items())
