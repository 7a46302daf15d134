"""The page as text: the same bytes each time, nothing loaded, words for every chart, and refusals."""

from __future__ import annotations

import html.parser
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.artifacts import Run, read_json, write_json, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.reporting import write_page


class Outline(html.parser.HTMLParser):
    """What stands in a document: tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.inside = "", ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self.inside in ("script", "style") else data


def test_same_run_gives_the_same_bytes(page: str, run: Run, tmp_path: Path) -> None:
    assert write_page(run, tmp_path / "again.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_the_page_is_small_and_loads_nothing(page: str) -> None:
    assert len(page.encode()) < 3_000_000
    outline = Outline(page)
    loads = [
        (tag, attrs) for tag, attrs in outline.tags if "src" in attrs or tag in ("link", "object", "iframe", "base")
    ]
    assert loads == []
    links = [attrs["href"] for tag, attrs in outline.tags if "href" in attrs]
    assert links
    assert all(link and link.startswith("#") for link in links)


def test_headings_descend_and_charts_have_words(page: str) -> None:
    tags = Outline(page).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert levels.count(2) == 6
    assert all(after <= before + 1 for before, after in pairwise(levels))
    charts = [attrs for _, attrs in tags if "data-chart" in attrs]
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 20 for attrs in charts)
    assert dict(tags)["html"] == {"lang": "en"}
    chapters = {attrs["href"] for tag, attrs in tags if tag == "a"}
    assert chapters == {f"#{attrs['id']}" for tag, attrs in tags if tag == "section"}


def test_stays_are_numbered_unless_asked(page: str, run: Run, tmp_path: Path) -> None:
    ids = pl.read_parquet(run.path / "explained.parquet")["stay_id"].to_list()
    assert not [stay for stay in ids if stay in page]
    assert "patient-p1" not in page  # the patient of a stay
    named = write_page(run, tmp_path / "named.html", identifiers=True).read_text(encoding="utf-8")
    assert f"Stay 1 ({ids[0]})" in named
    assert ids[-1] not in named  # the cohort sample is never shown


def test_says_what_a_reader_needs(page: str) -> None:
    text = " ".join(Outline(page).text.replace("\N{NO-BREAK SPACE}", " ").split())
    for phrase in [
        "Research use only. Not a medical device.",
        "0.815 95 % interval 0.804–0.826",
        "prevalence 0.018: 5.7 × chance",
        "By AUROC better than gradient boosting (+0.020 (+0.011 to +0.029)).",
        "By AUROC not to be told apart from gradient boosting",
        "No patient is in two splits (counted: 0).",
        "Before onset only",
        "Site B",
        "CC BY 4.0",
        "Reyna et al. 2020",
        "There is no summary of contributions in this run.",
        "the largest gap between the parts and the logit is 0.012 logit (tolerance 0.01)",
        "not complete: gap 0.012 logit",
        "onset 4 h later",
        "weighted_bce",
    ]:
        assert phrase in text, phrase


def test_a_run_without_explanations_says_so(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    (run.path / "history.csv").unlink()
    write_json(run.path / "thresholds.json", [])
    page = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("clinical-lstm explain run=sepsis_lstm") == 1
    assert "there are no explained stays" in page
    assert "The run has no alarm threshold." in page
    assert page.count("data-chart=") == 2 * (3 + 1)  # curves and subgroups of two targets


def test_a_run_without_scores_is_refused(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path)
    (run.path / "scores.parquet").unlink()
    with pytest.raises(InputError, match=r"scores\.parquet is missing; .*clinical-lstm evaluate run=sepsis_lstm"):
        write_page(run, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_leakage_is_not_hidden(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    cohort = read_json(run.path / "cohort.json")
    write_json(run.path / "cohort.json", cohort | {"leakage": {"patients_in_two_splits": 3, "fitted_on": "train"}})
    page = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Leakage: 3 patients are in two splits." in page


def test_a_judged_page_says_what_evaluation_found(judged_page: str, judged_run: Run) -> None:
    text = " ".join(Outline(judged_page).text.replace("\N{NO-BREAK SPACE}", " ").split())
    for summary in judged_run.json("summary.json"):
        assert summary["alarms"] and summary["alarms"][0].replace("%", " %") in text
    for phrase in [
        "Beside the others",
        "Alarms under the policy",
        "Lead time, median (h)",
        "Concordance (Uno)",
        "too few patients with one of the outcomes",
        "The model learned from patients of A and C and was judged on patients of B, where it had seen nobody.",
        "A and C → B: Sepsis within 6 h",
        "then none for 4 h",
        "most events within 2 false alarms per patient-day, val",
        "Lactate: stays with any measurement",
        "3 of 6 checks passed; not passed: Depends on what was learned; not judged: Noise changes little; not run: The",
        "Depends on what was learned: not passed",
        "of what moves the risk is whether something was measured",
        "Rises with the value: rank correlation",
        "False alarms against true silence",
        "Layer 2: half of the 16 units have lost half of what they hold after 13.6 h",
        "Shown are the 3 baselines of highest AUROC; 1 more is in the table of all predictors.",
    ]:
        assert phrase in text, phrase
    for heading in ("Subgroups", "Without the predictions after onset", "At another place or time"):
        assert judged_page.count(f">{heading}</h") == (1 if heading.startswith("At") else 2)


def test_another_place_is_only_on_a_page_that_knows_one(page: str) -> None:
    assert "At another place or time" not in page
    assert "The policy of alarms" not in page


def test_a_target_more_makes_the_page_little_larger(judged_page: str, judged_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "many")
    shutil.copytree(judged_run.path, run.path)
    names = [f"complication_{index}" for index in range(5)]
    judged = ["scores", "curves", "gaps", "recalibration"]
    for file in [*judged, "drivers", "contrasts", "dose", "directions", "half_lives"]:
        table = judged_run.table(f"{file}.parquet").filter(horizon_hours=6.0)
        write_table(run.path / f"{file}.parquet", pl.concat(table.with_columns(complication=pl.lit(n)) for n in names))
    summary = judged_run.json("summary.json")[0]
    write_json(run.path / "summary.json", [summary | {"complication": name} for name in names])
    manifest = run.json("manifest.json")
    write_json(run.path / "manifest.json", manifest | {"targets": [[name, 6.0] for name in names]})
    page = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.split('<section id="cohort">')[0].count('<dl class="said">') == len(names)
    assert page.count("<h4>What counts most</h4>") == len(names)
    assert "The model by target, all predictions</p>" in page
    assert "<h1>5 complications, 6 h ahead</h1>" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert len(page.encode()) - len(judged_page.encode()) < (len(names) - 2) * 200_000


def test_claims_an_unseen_split_only_where_it_is_recorded(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    pages = []
    for facts in ({}, {"split": "val"}, {"split": "test"}):
        run.mark("evaluate", "key", ["scores.parquet"], **facts)
        pages.append(write_page(run, tmp_path / "page.html").read_text(encoding="utf-8"))
    for page, name in zip(pages, ["evaluated split", "val split", "test split"]):
        assert f"Every number is computed on the {name}." in page
        assert ("none of whom the model has seen" in page) is (name == "test split")
