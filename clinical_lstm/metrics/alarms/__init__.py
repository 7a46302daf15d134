"""Alarms as a ward lives them: which are raised, which events they announce, how early, and at what price.

    hours    1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17      threshold 0.5, silence 4 h, reset 3 h
    risk    .1 .6 .7 .8 .3 .2 .4 .6 .7 .8 .8  [episode] .9 .9 .9
    alarm       A --------|             A ---------|  [  ] ------|  A
    label    0  0  0  0  0  1  1  1  1  1  1   -  -  -  0  0  0      1: the onset (11.5) lies within the next 6 h
              false                   true                   false   event detected, lead time 11.5 - 8 = 3.5 h

Rows (N,) are those of ONE target at risk, sorted by stay and hours. `Policy` says when an alarm is raised, `raised`
which rows raise one, and `rings`, hour by hour, whether one is raised now. `Course` holds labelled rows:
`AlarmMeasures` scores one policy on them, `AlarmCurve` all thresholds, and `tune` finds the policy that a budget of
false alarms allows.
"""

from __future__ import annotations

from clinical_lstm.metrics.alarms.bell import rings
from clinical_lstm.metrics.alarms.course import Course
from clinical_lstm.metrics.alarms.curve import AlarmCurve
from clinical_lstm.metrics.alarms.measures import AlarmMeasures, rates_of
from clinical_lstm.metrics.alarms.policy import Policy
from clinical_lstm.metrics.alarms.silence import Silence, raised
from clinical_lstm.metrics.alarms.tuning import tune

__all__ = ["AlarmCurve", "AlarmMeasures", "Course", "Policy", "Silence", "raised", "rates_of", "rings", "tune"]
