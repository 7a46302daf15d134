"""What pages share: templates that escape, the chart libraries inside, and a policy that loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from clinical_lstm.artifacts import atomic_file
from clinical_lstm.reporting import records, theme, words
from clinical_lstm.reporting.embedding import embedded

TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, context: Mapping[str, Any]) -> str:
    """Return a template filled with `context`, every text escaped; scripts, policy and chart settings are added."""
    place = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    place.filters["capitalised"] = words.capitalised
    place.globals |= {"words": words, "theme": theme, "records": records}
    bundle, boot = libraries(), (TEMPLATES / "page.js").read_text(encoding="utf-8")
    scripts = {"bundle": Markup(bundle), "boot": Markup(boot), "policy": policy(bundle, boot)}
    return place.get_template(template).render(**context, **scripts, config=embedded(theme.config()))


def write(page: str, out: Path) -> Path:
    """Write a page to `out`, atomically, and return `out`."""
    with atomic_file(out) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    return out


@cache
def libraries() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one JavaScript text that can stand inside a script element."""
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return bundle.replace("\r\n", "\n").replace("</script", "<\\/script")


def policy(*scripts: str) -> str:
    """Return the Content-Security-Policy: these scripts run, no other does, and nothing is ever loaded."""
    sums = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{text}'" for text in sums)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
