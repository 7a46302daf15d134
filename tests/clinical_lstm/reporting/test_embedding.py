"""Charts inside a page: no text ends its script, no number that JSON does not know, numbered in order."""

from __future__ import annotations

import pytest

from clinical_lstm.reporting.embedding import Charts, embedded


def test_embedded_json_cannot_end_its_script() -> None:
    text = str(embedded({"a": "</script><!--\u2028&"}))
    assert not set(text) & set("<>&\u2028")
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"a": float("nan")})


def test_charts_are_numbered_and_nothing_is_no_chart() -> None:
    charts = Charts()
    first, none, second = (
        charts.add({"mark": "bar"}, "bars"),
        charts.add(None, "nothing"),
        charts.add({}, "more", "why"),
    )
    assert none is None
    assert first is not None
    assert second is not None
    assert (first["id"], second["id"], second["caption"]) == ("chart-1", "chart-2", "why")
