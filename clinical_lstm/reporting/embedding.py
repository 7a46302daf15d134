"""Charts inside a page: numbered, and as JSON that cannot end the script element it stands in."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from clinical_lstm.reporting.figures import Spec


def embedded(content: Any) -> Markup:
    """Return JSON that cannot end the script element it stands in.

    >>> print(embedded({"name": "</script>"}))
    {"name":"\\u003c/script\\u003e"}
    """
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


class Charts:
    """Numbers the charts of a page; a chart is its identifier, its specification, what it shows and its caption."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, spec: Spec | None, shows: str, caption: str = "") -> dict[str, Any] | None:
        """Return a chart for the template, or None when there is nothing to draw."""
        if spec is None:
            return None
        self.count += 1
        return {"id": f"chart-{self.count}", "spec": embedded(spec), "shows": shows, "caption": caption}
