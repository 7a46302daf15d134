"""Synthetic stays with a planted risk: what a model could know at best is known exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from clinical_lstm import schemas
from clinical_lstm.artifacts import digest
from clinical_lstm.errors import InputError, closest
from clinical_lstm.sources.base import Extract, Source, stays_table
from clinical_lstm.variables import vocabulary

_VERSION = 1  # raise it when the same arguments give other bits
_EFFECTS = {"heart_rate": 1.0, "map": -1.0, "respiratory_rate": 0.7, "lactate": 1.0}
_MISSING = {"vital": 0.2, "lab": 0.85, "treatment": 0.5}
_STATIC = ["age_years", "male"]
_OWN_LEVEL = 0.5  # standard deviation of a patient's usual level, in units of the variable's


class Synthetic(Source):
    """Draw stays whose hidden deterioration z shifts some variables, and `lead_hours` later the hazard of an onset.

        z_k      = r z_{k-1} + sqrt(1 - r^2) e_k,   r = exp(-1 / memory_hours),  z ~ N(0, 1)        (1) hour k
        hazard_k = onset_per_hour * exp(gain * z_{k - lead})             in (k, k+1]                (2)
        risk_t   = 1 - exp(-sum_{k = t}^{t + horizon - 1} hazard_k)                                 (3) truth
        value    = mean + sd * (own level + effect * z_k + noise),       taken in (k, k+1]          (4)

    Because horizon <= lead, risk_t is a function of z before t alone: the risk is exact, not an estimate, given that
    no onset came before t. `effects` names the variables that carry the signal and by how many standard deviations
    per unit of z; all others, age and sex are noise. mean +- 2 sd is the normal range of variables.csv, and a value
    is clipped to the plausible range.

    Stays last uniformly 0.5 to 1.5 x `mean_hours`, whatever happens in them. Charting events come as a Poisson
    process of `rate_per_hour`; at each, a variable is absent with the `missing` probability of its kind. The first
    onset is the one episode, `planted`, and lasts to the end of the stay. `shuffle_labels` hands the onsets to other
    stays of the shard (at the same fraction of the stay): then nothing predicts them.
    The bits depend on the arguments only (`shard_stays` is one).
    """

    title = "Synthetic stays with a planted risk"
    citation = "none: drawn from the equations in its description"
    licence = "none needed: no real patient is in it"

    def __init__(
        self,
        stays: int = 2000,
        mean_hours: float = 48.0,
        rate_per_hour: float = 1.0,
        seed: int = 0,
        variables: Sequence[str] | None = None,
        effects: Mapping[str, float] | None = None,
        missing: Mapping[str, float] | None = None,
        lead_hours: int = 8,
        horizon_hours: int = 6,
        onset_per_hour: float = 0.0005,
        gain: float = 2.0,
        memory_hours: float = 12.0,
        shuffle_labels: bool = False,
        shard_stays: int = 4096,
    ) -> None:
        self.stays, self.mean_hours, self.rate_per_hour, self.seed = stays, mean_hours, rate_per_hour, seed
        self.names = list(variables) if variables is not None else list(_levels())
        self.effects = dict(effects) if effects is not None else dict(_EFFECTS)
        self.missing = _MISSING | dict(missing or {})
        self.lead_hours, self.horizon_hours, self.onset_per_hour = lead_hours, horizon_hours, onset_per_hour
        self.gain, self.memory_hours = gain, memory_hours
        self.shuffle_labels, self.shard_stays = shuffle_labels, shard_stays
        _check(self)

    @property
    def variables(self) -> list[str]:
        """The drawn variables."""
        return [name for name in vocabulary() if name in self.names]

    @property
    def statics(self) -> list[str]:
        """Age and sex; both are noise."""
        return list(_STATIC)

    def fingerprint(self) -> str:
        """Return a digest of the arguments and of the version of this module."""
        return digest([_VERSION, vars(self)])

    def extracts(self) -> Iterator[Extract]:
        """Yield the shards."""
        for shard in range(-(-self.stays // self.shard_stays)):
            latent = _latent(self, shard)
            stays = _stays(self, shard, latent)
            observations = _observations(self, shard, latent, stays["stay_id"])
            episodes = _episodes(self, shard, latent, stays["stay_id"])
            yield Extract(stays, observations, episodes, schemas.empty(schemas.Rejects))

    def truth(self) -> pl.DataFrame:
        """Return stay_id, hours, true_risk: equation (3) at every full hour of every stay, sorted.

        true_risk is P(onset in (hours, hours + horizon_hours]) given no onset until then. It is the risk before any
        shuffling of the labels.
        """
        tables = []
        for shard in range(-(-self.stays // self.shard_stays)):
            latent = _latent(self, shard)
            until = np.concatenate([np.zeros((len(latent.hours), 1)), np.cumsum(latent.hazard, axis=1)], axis=1)
            ahead = until[:, self.horizon_hours :] - until[:, : -self.horizon_hours]
            risk = -np.expm1(-ahead)  # (stays, hours)
            stay, hour = np.nonzero(np.arange(risk.shape[1]) <= latent.hours[:, None])
            ids = _ids(self, shard, len(latent.hours)).gather(stay)
            tables.append(
                pl.DataFrame({"stay_id": ids, "hours": hour.astype(np.float64), "true_risk": risk[stay, hour]})
            )
        return pl.concat(tables)


class _Latent(NamedTuple):
    hours: np.ndarray  # (stays,) length of each stay
    z: np.ndarray  # (stays, hours) deterioration in (k, k+1]
    hazard: np.ndarray  # (stays, hours + horizon) hazard in (k, k+1]
    onset: np.ndarray  # (stays,) hour of the first onset, inf where it comes after discharge


def _generator(source: Synthetic, shard: int, part: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([source.seed, shard, part]))


def _ids(source: Synthetic, shard: int, size: int) -> pl.Series:
    first = shard * source.shard_stays
    return pl.Series("stay_id", [f"s{number:08d}" for number in range(first, first + size)], pl.String)


def _latent(source: Synthetic, shard: int) -> _Latent:
    draw = _generator(source, shard, 0)
    size = min(source.shard_stays, source.stays - shard * source.shard_stays)
    hours = source.mean_hours * draw.uniform(0.5, 1.5, size)
    lead, span = source.lead_hours, math.ceil(1.5 * source.mean_hours) + source.horizon_hours
    z = draw.standard_normal((lead + span, size))
    r = math.exp(-1 / source.memory_hours)
    for k in range(1, lead + span):
        z[k] = r * z[k - 1] + math.sqrt(1 - r * r) * z[k]  # (1), all stays at once
    hazard = source.onset_per_hour * np.exp(source.gain * z[:span].T)  # (2), z begins `lead` hours before admission
    onset = _first_onset(hazard, draw.exponential(size=size))
    onset[onset > hours] = np.inf
    return _Latent(hours, z[lead:].T, hazard, onset)


def _first_onset(hazard: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Return when the cumulative hazard reaches the unit-exponential threshold; inf where it does not."""
    reached = np.cumsum(hazard, axis=1)
    hour = (reached < threshold[:, None]).sum(axis=1)
    inside = np.minimum(hour, hazard.shape[1] - 1)
    row = np.arange(len(hour))
    onset = inside + 1 - (reached[row, inside] - threshold) / hazard[row, inside]
    return np.where(hour < hazard.shape[1], onset, np.inf)


def _stays(source: Synthetic, shard: int, latent: _Latent) -> pl.DataFrame:
    draw = _generator(source, shard, 1)
    size = len(latent.hours)
    ids = _ids(source, shard, size)
    table = pl.DataFrame(
        {
            "stay_id": ids,
            "patient_id": ids,
            "site": pl.Series(["synthetic"]).new_from_index(0, size),
            "start_hours": np.zeros(size),
            "length_hours": latent.hours,
            "age_years": draw.integers(18, 95, size).astype(np.float64),
            "male": draw.integers(0, 2, size).astype(np.float64),
        }
    )
    return stays_table(table)


def _observations(source: Synthetic, shard: int, latent: _Latent, ids: pl.Series) -> pl.DataFrame:
    draw = _generator(source, shard, 2)
    events = draw.poisson(source.rate_per_hour * latent.hours)
    stay = np.repeat(np.arange(len(events)), events)
    hours = latent.hours[stay] * draw.random(len(stay))
    z = latent.z[stay, hours.astype(np.int64)]
    tables = []
    for name in source.variables:
        variable, (mean, sd) = vocabulary()[name], _levels()[name]
        seen = np.flatnonzero(draw.random(len(stay)) >= source.missing[variable.kind])
        own = _OWN_LEVEL * draw.standard_normal(len(events))
        shift = own[stay[seen]] + source.effects.get(name, 0.0) * z[seen]
        value = mean + sd * (shift + draw.standard_normal(len(seen)))  # (4)
        value = np.clip(value, variable.low, variable.high)
        columns = {"stay_id": ids.gather(stay[seen]), "hours": hours[seen], "value": value}
        tables.append(pl.DataFrame(columns).with_columns(pl.lit(name).alias("variable")))
    return pl.concat(tables).select("stay_id", "hours", "variable", "value")


def _episodes(source: Synthetic, shard: int, latent: _Latent, ids: pl.Series) -> pl.DataFrame:
    fraction = latent.onset / latent.hours
    if source.shuffle_labels:
        fraction = _generator(source, shard, 3).permutation(fraction)
    table = pl.DataFrame({"stay_id": ids, "onset_hours": fraction * latent.hours, "end_hours": latent.hours})
    named = table.filter(pl.col("onset_hours").is_finite()).with_columns(pl.lit("planted").alias("complication"))
    return named.with_columns(pl.min_horizontal("onset_hours", "end_hours")).select(schemas.Episodes.column_names())


def _levels() -> dict[str, tuple[float, float]]:
    """Return (mean, sd) of each variable whose normal range has a width."""
    return {
        v.name: ((v.normal_low + v.normal_high) / 2, (v.normal_high - v.normal_low) / 4)
        for v in vocabulary().values()
        if v.kind != "static"
        and v.normal_low is not None
        and v.normal_high is not None
        and v.normal_low < v.normal_high
    }


def _check(source: Synthetic) -> None:
    for name in [*source.names, *source.effects]:
        if name not in _levels():
            raise InputError(f"source/synthetic has no variable {name!r}: {closest(name, list(_levels()))}")
    if silent := [name for name in source.effects if name not in source.names]:
        raise InputError(f"source/synthetic: the effects name {', '.join(silent)}, which `variables` leaves out")
    if unknown := [kind for kind in source.missing if kind not in _MISSING]:
        raise InputError(f"source/synthetic: missing has no kind {unknown[0]!r}: {closest(unknown[0], list(_MISSING))}")
    if not all(0 <= share < 1 for share in source.missing.values()):
        raise InputError(f"source/synthetic: missing must be probabilities in [0, 1), not {source.missing}")
    if source.horizon_hours > source.lead_hours or source.horizon_hours < 1:
        hours = f"horizon_hours is {source.horizon_hours} and lead_hours {source.lead_hours}"
        raise InputError(f"source/synthetic: {hours}; the true risk is known for 1 <= horizon_hours <= lead_hours only")
    positive = ["stays", "mean_hours", "rate_per_hour", "onset_per_hour", "memory_hours", "shard_stays"]
    if bad := [name for name in positive if getattr(source, name) <= 0]:
        raise InputError(f"source/synthetic: {bad[0]} is {getattr(source, bad[0])}; it must be above 0")
