"""What identifies an explained prediction, in every table of this package."""

from __future__ import annotations

REASONS = ["highest_risk", "missed_event", "false_alarm", "typical"]
SAMPLED = "cohort_sample"
BEFORE_ONSET = "before_onset_sample"
OUTCOMES = ["true_alarm", "missed_event", "false_alarm", "true_silence"]  # with "_sample" behind: the reason
TARGET = ["complication", "horizon_hours"]
KEY = ["stay_id", "hours", *TARGET]
CHOSEN = [*KEY, "reason", "risk"]
