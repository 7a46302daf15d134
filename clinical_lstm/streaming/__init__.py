"""A ward as it lives: measurements arrive one by one, every step of every patient gives risks and alarms at once.

    run directory --Ward.load--> ward
        admit      a stay and its static variables
        observe    a measurement: accepted, or refused with the rule that refused it
        advance    the steps that have ended by now -> a `LiveRisk` per stay, step and target
        discharge  the stay is forgotten

A step costs the same at any age of a stay: a model's streaming state, what was last seen of every variable and when,
and two hours per target for the alarms are all that is kept. Needs a run directory and a CPU, nothing else.

What is closed is closed: a measurement stamped into a step that has been closed is refused as `late`, never used. So a
risk depends on what had arrived when it was stated, and equals the one that `Predictor.risks` gives for a whole record
of the same measurements, but for the last bits of 32-bit sums.

Stays are always computed in batches of one size, filled up with repetitions: neither the other patients of the ward nor
the order of calls changes a bit. `state` and `restore` are plain arrays, for a restart that loses nothing. Not for use
from several threads at once.
"""

from clinical_lstm.streaming.ward import LiveRisk, Ward, obstacle

__all__ = ["LiveRisk", "Ward", "obstacle"]
