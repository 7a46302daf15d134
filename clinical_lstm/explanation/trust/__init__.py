"""Whether to believe the explanations: checks that can fail, each with its rule beside the number.

completeness        the attributions account for the logit, and it is this model's
randomisation       they are lost with what the model learned
deletion_insertion  what they put first moves the logit first
stability           they hold under measurement noise
agreement           they rank variables as hiding them does
unused              what was never observed gets nothing
recovery            where the truth is planted, they find it
"""

from clinical_lstm.explanation.trust.agreement import agreement
from clinical_lstm.explanation.trust.asked import Asked, ask, sample, thin
from clinical_lstm.explanation.trust.completeness import completeness
from clinical_lstm.explanation.trust.curves import deletion_insertion
from clinical_lstm.explanation.trust.examination import checks, examine, judge, told
from clinical_lstm.explanation.trust.randomisation import randomisation, redrawn
from clinical_lstm.explanation.trust.recovery import precision_at_k, recovery
from clinical_lstm.explanation.trust.stability import stability
from clinical_lstm.explanation.trust.unused import unused
from clinical_lstm.explanation.trust.verdicts import Verdict

__all__ = [
    "Asked",
    "Verdict",
    "agreement",
    "ask",
    "checks",
    "completeness",
    "deletion_insertion",
    "examine",
    "judge",
    "precision_at_k",
    "randomisation",
    "recovery",
    "redrawn",
    "sample",
    "stability",
    "thin",
    "told",
    "unused",
]
