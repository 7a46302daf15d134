"""Respiratory failure: PaO2/FiO2 below a threshold, or what SpO2/FiO2 says of it."""

from __future__ import annotations

import polars as pl

from clinical_lstm.complications.base import at_most, below, check_thresholds, episodes_from, held, measured

NEEDS = [["pao2", "fio2"], ["spo2", "fio2"]]
MEMORY_HOURS = 12.0  # an onset hangs on the assessment before it too, which looks back as far again

ROOM_AIR = 0.21
SPO2_MOST = 97.0  # above, the dissociation curve is flat: a saturation says nothing of the oxygen pressure


def respiratory_failure(
    stays: pl.DataFrame,
    observations: pl.DataFrame,
    given: pl.DataFrame,
    *,
    below_mmhg: float = 200.0,
    fio2_hours: float = 12.0,
    pao2_hours: float = 12.0,
    room_air: bool = False,
    free_hours: float = 0.0,
) -> pl.DataFrame:
    """Return the episodes of respiratory failure, assessed at every PaO2, and at SpO2 where PaO2 is absent.

    ```
        FiO2        0.4 ............. 0.6 ......
        PaO2            90      100       105    110
        PaO2/FiO2       225     250       175    183
                                          |______|           met(t) = PaO2(t) / FiO2(t) < 200 mmHg              (1)
    ```
    FiO2 is the last setting, at most `fio2_hours` old. Where no PaO2 was measured in the last `pao2_hours`, the
    regression of Rice turns a saturation of at most 97 % into
        PaO2/FiO2 = (SpO2 / FiO2 - 64) / 0.84                                                                      (2)
    A saturation above 97 % is no assessment, nor is any time without a known FiO2.

    Limits: an abnormal first ratio is an onset at that measurement: it was there when first looked for. Neither
    ventilation, PEEP nor a chest film is asked for, so this is hypoxaemia of moderate ARDS degree, not ARDS; the Berlin
    class includes 200 itself. (2) is a regression: single ratios are off by tens of mmHg.

    Args:
        stays: not used. observations: `schemas.Observations`. given: not used.
        below_mmhg: PaO2/FiO2 under which a time counts.
        fio2_hours: how long an FiO2 holds. pao2_hours: how long a PaO2 keeps saturations out.
        room_air: take an unknown FiO2 for 0.21.
        free_hours: episodes less than this apart are one.

    Source: ARDS Definition Task Force, JAMA 307:2526-2533 (2012), doi 10.1001/jama.2012.5669; Rice et al., Chest
    132:410-417 (2007), doi 10.1378/chest.07-0617.
    """
    hours = {"fio2_hours": fio2_hours, "pao2_hours": pao2_hours, "free_hours": free_hours}
    check_thresholds("respiratory_failure", below_mmhg=below_mmhg, **hours)
    fio2, pao2 = measured(observations, "fio2"), measured(observations, "pao2")
    spo2 = measured(observations, "spo2").filter(at_most("spo2", SPO2_MOST))
    alone = held(spo2, pao2, pao2_hours).filter(pl.col("pao2").is_null())
    oxygen = pl.col("fio2").fill_null(ROOM_AIR) if room_air else pl.col("fio2")
    arterial = held(pao2, fio2, fio2_hours).select("stay_id", "hours", ratio=pl.col("pao2") / oxygen)  # (1)
    pulse = held(alone, fio2, fio2_hours).select(
        "stay_id",
        "hours",
        ratio=(pl.col("spo2") / oxygen - 64) / 0.84,  # (2)
    )
    judged = pl.concat([arterial, pulse]).with_columns(met=below("ratio", below_mmhg))
    return episodes_from(judged, "respiratory_failure", free_hours=free_hours)
