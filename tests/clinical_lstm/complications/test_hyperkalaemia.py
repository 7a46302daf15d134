"""Hyperkalaemia on worked vignettes: edges of thresholds and windows, order, several stays, nothing measured."""

from __future__ import annotations

from typing import Any


def test_vignette(worked_vignette: Any) -> None:
    assert worked_vignette.found() == worked_vignette.found_alone() == worked_vignette.episodes
