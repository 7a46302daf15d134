"""Numbers, names and sentences as a reader meets them on the page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from clinical_lstm.data.task import YEAR_HOURS, within
from clinical_lstm.variables import Variable, vocabulary

CHANNELS = {"value": "value", "mask": "missingness", "delta": "staleness", "static": "static"}
THROUGH = {
    "value": "mostly through its value",
    "mask": "mostly through being measured or not",
    "delta": "mostly through the time since it was measured",
    "static": "known at admission",
}
REASONS = {
    "highest_risk": "Highest risk",
    "missed_event": "Missed event",
    "false_alarm": "False alarm",
    "typical": "Typical",
}
PRINTED_UNITS = {"1": "", "0/1": "", "degC": "°C", "10^9/L": "10⁹/L"}
ACRONYMS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "tcn": "TCN", "cnn": "CNN", "mlp": "MLP", "xlstm": "xLSTM"}
ACRONYMS |= {"sofa": "SOFA", "qsofa": "qSOFA", "news2": "NEWS2", "sirs": "SIRS"}
TREND_HOURS = 4.0  # a change over less than this is mostly measurement noise


def number(value: float | None) -> str:
    """Return a number with as many digits as a reader can use; a dash for None.

    >>> number(4.10), number(0.0123), number(128.4), number(-0.5), number(0.00002), number(None)
    ('4.1', '0.012', '128', '−0.5', '<0.0001', '–')
    """
    if value is None:
        return "–"
    size = abs(value)
    if 0 < size < 1e-4:
        return "<0.0001" if value > 0 else ">−0.0001"
    if size >= 100:
        text = f"{value:.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 0.1 or size == 0:
        text = f"{value:.2f}"
    else:
        text = f"{value:.2g}"
    text = text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return f"−{text[1:]}" if text.startswith("-") else text


def decimals(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """Return a number with a fixed count of digits, a true minus and, on request, a plus.

    >>> decimals(0.84213), decimals(-0.0121, sign=True), decimals(0.4, 2, sign=True)
    ('0.842', '−0.012', '+0.40')
    """
    if value is None:
        return "–"
    return (f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}").replace("-", "−")


def percent(share: float | None) -> str:
    """Return a share as a percentage that does not break across lines.

    >>> [percent(share).replace("\\xa0", " ") for share in (0.0171, 0.5, 0.00002)]
    ['1.71 %', '50 %', '0.002 %']
    """
    return "–" if share is None else f"{number(100 * share)}\N{NO-BREAK SPACE}%"


def count(value: int | float | None) -> str:
    """Return a count with thin spaces between thousands.

    >>> count(1552210) == "1\u202f552\u202f210"
    True
    """
    return "–" if value is None else f"{round(value):,}".replace(",", "\u202f")


def duration(hours: float) -> str:
    """Return a duration in hours, or in minutes when it is below one hour.

    >>> duration(6), duration(0.5), duration(1.5)
    ('6 h', '30 min', '1.5 h')
    """
    return f"{number(hours)} h" if hours >= 1 or hours == 0 else f"{number(hours * 60)} min"


def clean(name: str) -> str:
    """Return a name on one line: control, formatting and line-separating characters become spaces.

    Charts compile names into expressions, which such characters break.

    >>> clean("a\\u2028b\\tc")
    'a b c'
    """
    return "".join(" " if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") else sign for sign in name)


def plain(name: str) -> str:
    """Return a name of the code as words with a capital.

    >>> plain("gradient_boosting"), plain("residual_lstm"), plain("qsofa")
    ('Gradient boosting', 'Residual LSTM', 'qSOFA')
    """
    parts = clean(name).replace("_", " ").split(" ")
    text = " ".join(ACRONYMS.get(part, part) for part in parts).strip()
    return text if parts[0] in ACRONYMS else text[:1].upper() + text[1:]


def capitalised(sentence: str) -> str:
    """Return a sentence with a capital, all else as it is.

    >>> capitalised("the SOFA score")
    'The SOFA score'
    """
    return sentence[:1].upper() + sentence[1:]


def complication(name: str) -> str:
    """Return a complication in words.

    >>> complication("aki_kdigo"), complication("hypotension")
    ('Acute kidney injury (KDIGO)', 'Hypotension')
    """
    return {"aki_kdigo": "Acute kidney injury (KDIGO)", "sepsis3": "Sepsis-3"}.get(name, plain(name))


def listed(parts: Sequence[str]) -> str:
    """Return parts as one phrase.

    >>> listed(["6", "12", "24 h"]), listed(["6 h"])
    ('6, 12 and 24 h', '6 h')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def target(name: str, horizon_hours: float) -> str:
    """Return a target in words.

    >>> target("lactic_acidosis", 12.0)
    'Lactic acidosis within 12 h'
    """
    return f"{complication(name)} {ahead(horizon_hours)}"


def ahead(horizon_hours: float) -> str:
    """Return a horizon in words; one of a year or more is the rest of the stay.

    >>> ahead(6.0), ahead(100_000.0)
    ('within 6 h', 'by discharge')
    """
    return within(horizon_hours) if horizon_hours >= YEAR_HOURS else f"within {duration(horizon_hours)}"


def label(variable: str) -> str:
    """Return the label of a variable; its own name when the vocabulary does not have it.

    >>> label("map"), label("my_marker")
    ('Mean arterial pressure', 'my_marker')
    """
    known = vocabulary().get(variable)
    return known.label if known else clean(variable)


def unit(variable: str) -> str:
    """Return the unit of a variable as printed behind a value; empty for pure numbers.

    >>> unit("temperature"), unit("ph")
    ('°C', '')
    """
    known = vocabulary().get(variable)
    text = known.unit if known else ""
    return PRINTED_UNITS.get(text, text)


def interval(low: float | None, high: float | None) -> str:
    """Return a range of values, open where a bound is None.

    >>> interval(0.5, 2.0), interval(-2.0, 2.0), interval(15.0, 15.0), interval(None, 5.0), interval(None, None)
    ('0.5–2', '−2 to 2', '15', 'up to 5', '')
    """
    if low is not None and high is not None:
        return number(low) if low == high else f"{number(low)}{' to ' if low < 0 else '–'}{number(high)}"
    if low is None:
        return "" if high is None else f"up to {number(high)}"
    return f"from {number(low)}"


def reference(variable: Variable | None, value: float | None = None) -> str:
    """Return the adult reference range and on which side of it `value` lies; empty when there is none."""
    text = interval(variable.normal_low, variable.normal_high) if variable else ""
    if not variable or not text or value is None:
        return text
    if variable.normal_low is not None and value < variable.normal_low:
        return f"{text} (below)"
    if variable.normal_high is not None and value > variable.normal_high:
        return f"{text} (above)"
    return f"{text} (within)"


def quantity(variable: str, value: float) -> str:
    """Return a variable with its value and unit; yes or no for an indicator.

    >>> quantity("ph", 7.31), quantity("male", 1.0)
    ('Arterial pH 7.31', 'Male sex: yes')
    """
    known = vocabulary().get(variable)
    if known and known.unit == "0/1":
        return f"{known.label}: {'yes' if value > 0.5 else 'no'}"
    return f"{label(variable)} {number(value)} {unit(variable)}".rstrip()


def measured(variable: str, points: list[tuple[float, float]], now: float) -> str:
    """Return one sentence on a variable: last value, trend, age and reference.

    `points` are (hours, value) up to `now`, in time order. The trend goes back to the last value that is at least
    4 h older than the newest, or to the first one.

    >>> measured("lactate", [(2.0, 2.3), (6.0, 4.1)], 7.0)
    'Lactate 4.1 mmol/L, up 1.8 in 4 h, last measured 1 h ago, reference 0.5–2 (above)'
    >>> measured("lactate", [], 7.0)
    'Lactate not measured up to this time'
    """
    if not points:
        return f"{label(variable)} not measured up to this time"
    hours, value = points[-1]
    parts = [quantity(variable, value)]
    older = [point for point in points[:-1] if hours - point[0] >= TREND_HOURS] or points[:1]
    if len(points) > 1:
        since, before = older[-1]
        change, span = value - before, duration(hours - since)
        moved = f"{'up' if change > 0 else 'down'} {number(abs(change))} in {span}"
        parts.append(moved if number(abs(change)) != "0" else f"unchanged in {span}")
    age = now - hours
    parts.append("measured at this time" if age <= 1e-9 else f"last measured {duration(age)} ago")
    normal = reference(vocabulary().get(variable), value)
    return ", ".join([*parts, f"reference {normal}"] if normal else parts)


def static(variable: str, value: float | None) -> str:
    """Return one sentence on a static variable.

    >>> static("age_years", 71.0), static("male", 0.0)
    ('Age 71 years, known at admission', 'Male sex: no, known at admission')
    """
    return f"{label(variable)} not recorded" if value is None else f"{quantity(variable, value)}, known at admission"
