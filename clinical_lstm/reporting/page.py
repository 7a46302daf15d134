"""Write the page of a run: one HTML file that needs no network, no server and no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from clinical_lstm.artifacts import Run, atomic_file
from clinical_lstm.data.task import YEAR_HOURS, within
from clinical_lstm.reporting import figures, records, tables, theme, words
from clinical_lstm.reporting.contents import Contents, read
from clinical_lstm.reporting.stays import cards
from clinical_lstm.reporting.timelines import timeline

TEMPLATES = Path(__file__).parent / "templates"


def write_page(run: Run, out: Path, identifiers: bool = False) -> Path:
    """Write the page of `run` to `out`, atomically, and return `out`; equal runs give equal bytes.

    Stays are numbered, not named, unless `identifiers`. Raises InputError when the run lacks what a page needs.
    """
    page = render(read(run), identifiers)
    with atomic_file(out) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    return out


def render(contents: Contents, identifiers: bool = False) -> str:
    """Return the page as HTML."""
    place = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    place.globals |= {"words": words, "theme": theme, "records": records}
    bundle, boot = libraries(), (TEMPLATES / "page.js").read_text(encoding="utf-8")
    context = _context(contents, identifiers)
    return place.get_template("page.html.j2").render(
        **context, bundle=Markup(bundle), boot=Markup(boot), policy=policy(bundle, boot)
    )


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

    def add(self, spec: figures.Spec | None, shows: str, caption: str = "") -> dict[str, Any] | None:
        """Return a chart for the template, or None when there is nothing to draw."""
        if spec is None:
            return None
        self.count += 1
        return {"id": f"chart-{self.count}", "spec": embedded(spec), "shows": shows, "caption": caption}


def _context(contents: Contents, identifiers: bool) -> dict[str, Any]:
    charts = Charts()
    manifest, cohort = contents.manifest, contents.cohort
    return {
        "contents": contents,
        "manifest": manifest,
        "cohort": cohort,
        "task": _task(contents),
        "split": f"{contents.split} split" if contents.split else "evaluated split",
        "source": {"title": "", "citation": "", "licence": "", "name": "", **cohort.get("source", {})},
        "headlines": tables.headlines(contents.scores, contents.targets[0]),
        "targets": [_target(contents, target, charts) for target in contents.targets],
        "predictors": _legend(contents),
        "splits": records.splits(cohort),
        "checks": _checks(contents),
        "coverage": records.coverage(cohort, [*manifest.get("variables", []), *manifest.get("statics", [])]),
        "drivers": _drivers(contents, charts),
        "cards": [
            {"card": card, "chart": charts.add(timeline(card), _shows(card.title, card.target), card.left_out)}
            for card in cards(contents, identifiers)
        ],
        "training": charts.add(
            figures.training(contents.history, manifest.get("best_epoch")),
            "Training and validation loss by epoch",
            f"The dotted line marks the chosen epoch ({manifest.get('best_epoch')}).",
        ),
        "config": embedded(theme.config()),
    }


def _checks(contents: Contents) -> dict[str, Any]:
    """Return the counts and gaps of the explanations, None where they are not recorded."""
    names = ["n", "n_explained", "median_gap", "max_gap", "tolerance"]
    found = contents.explanations.checks if contents.explanations else {}
    return {name: found.get(name) for name in names}


def _task(contents: Contents) -> dict[str, Any]:
    """Return the task's numbers as text, with what is not recorded left empty."""
    task = contents.manifest["task"]
    complications = [words.complication(name) for name in dict.fromkeys(name for name, _ in contents.targets)]
    hours = sorted({horizon for _, horizon in contents.targets})
    every = task.get("every_hours") or task.get("step_hours")
    if task.get("at_hours"):
        when = f"Once, {words.duration(task['at_hours'])} after admission,"
    elif every:
        when = f"Every {'hour' if every == 1 else words.duration(every)} of a stay"
    else:
        when = "At every measurement of a stay"
    ahead = words.listed([words.duration(horizon).replace(" ", "\N{NO-BREAK SPACE}") for horizon in hours])
    ahead = ahead if hours[-1] < YEAR_HOURS else "until discharge"
    return {
        "complications": words.listed([complications[0], *(name[:1].lower() + name[1:] for name in complications[1:])]),
        "horizons": ahead,
        "ahead": f"{ahead} ahead" if hours[-1] < YEAR_HOURS else within(hours[-1]),
        "window": f"within the next {ahead}" if hours[-1] < YEAR_HOURS else "before discharge",
        "lookback": words.duration(back) if (back := task.get("lookback_hours")) else "",
        "gap": words.duration(task.get("gap_hours") or 0.0),
        "when": when,
        "settings": records.settings(task),
    }


def _target(contents: Contents, target: tables.Target, charts: Charts) -> dict[str, Any]:
    scores, name = contents.scores, words.target(*target)
    found = tables.scores_of(scores, target)
    prevalence = found.get(("model", "prevalence"), {}).get("value")
    facts = next(iter(found.values()), None)
    captions = {
        "roc": "ROC. The diagonal is chance.",
        "pr": f"Precision and recall. The level line is the prevalence, {words.decimals(prevalence)}.",
        "calibration": "Calibration. On the diagonal a risk of 10\N{NO-BREAK SPACE}% comes true 10 times in 100.",
    }
    kinds = [
        charts.add(figures.curve(contents.curves, target, kind, prevalence), f"{text} {name}.", text)
        for kind, text in captions.items()
    ]
    return {
        "name": name,
        "facts": facts,
        "grid": tables.performance(scores, target),
        "differences": tables.differences(scores, target),
        "comparison": tables.comparison(contents.comparison, target),
        "verdicts": tables.verdicts(scores, target),
        "subsets": tables.subsets(scores, target),
        "details": [
            (tables.subset_name(s), tables.performance(scores, target, s), tables.differences(scores, target, s))
            for s in tables.parts(scores, target)
        ],
        "charts": [chart for chart in kinds if chart],
    }


def _legend(contents: Contents) -> list[dict[str, str]]:
    names = figures.order(contents.curves["predictor"].unique().to_list())
    looks = [theme.series(index) for index in range(len(names))]
    return [
        {"name": words.plain(name), "colour": colour, "dash": " ".join(map(str, dash)) if dash[1] else ""}
        for name, (colour, dash) in zip(names, looks)
    ]


def _drivers(contents: Contents, charts: Charts) -> list[dict[str, Any]]:
    """Return, for each target, the importance chart and the share of the attributions by channel."""
    if contents.explanations is None:
        return []
    rows = []
    for target in contents.targets:
        name, table = words.target(*target), contents.explanations.importance
        chart = charts.add(figures.importance(table, target), f"Mean contribution of the variables to: {name}")
        if chart:
            rows.append({"name": name, "chart": chart, "shares": tables.channel_shares(table, target)})
    return rows


def _shows(title: str, target: str) -> str:
    return f"{title}: risk of {target}, the measurements and the contributions to the risk over time"
