"""Engineered inputs: what a clinician computes from the chart (trends, extremes, counts, ratios, points of severity).

One file per block, one class in it; `model.inputs.engineered=[windows,counts,...]` shows blocks to any model, and
`baseline.NAME.engineered=[...]` to a baseline. All blocks are functions of a `Batch` and of a `Memory` of the steps
before it, so that a whole stay at once, chunk after chunk, and step by step are the same computation: a live stream
cannot differ from training. They run inside the model, from scaled values: an explanation still speaks of measurements,
not of features, and still adds up. Nothing looks ahead; where nothing was measured a value is the train median, as
everywhere.
"""

from __future__ import annotations

from clinical_lstm.features.course import Course, Memory, Vocabulary
from clinical_lstm.features.engineered import Engineered, Feature, grid_hours

__all__ = ["Course", "Engineered", "Feature", "Memory", "Vocabulary", "grid_hours"]
