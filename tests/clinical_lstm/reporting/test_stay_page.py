"""One page per stay: that stay alone, called as on the page of the run, readable without eyes, refused when unknown."""

from __future__ import annotations

import html.parser
import re
import shutil
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from clinical_lstm.artifacts import Run, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.reporting import theme, write_page, write_stays

TEXTS = ["ink", "quiet", "accent", "warn", "raise", "lower"]


class Outline(html.parser.HTMLParser):
    """The tags of a document with their attributes and the tags they stand in, and its text."""

    VOID = {"meta", "br", "img", "input", "line", "path"}

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        self.text += " " * (tag == "dd")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def told_page(told_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(told_run, tmp_path_factory.mktemp("told") / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def alone(told_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    (out,) = write_stays(told_run, ["Stay 2"], tmp_path_factory.mktemp("alone"))
    return out.read_text(encoding="utf-8")


@pytest.fixture(params=["told_page", "alone"])
def document(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def plain(document: str) -> str:
    return " ".join(Outline(document).text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_a_stay_goes_by_its_id_or_its_pseudonym(told_run: Run, tmp_path: Path) -> None:
    ids = told_run.table("explained.parquet")["stay_id"].to_list()
    by_id = write_stays(told_run, [ids[2], ids[0], ids[2]], tmp_path)
    assert [path.name for path in by_id] == ["stay-3.html", "stay-1.html"]
    pages = [path.read_text(encoding="utf-8") for path in by_id]
    assert not [stay for stay in ids for page in pages if stay in page]
    assert "patient-p1" not in pages[0]
    (again,) = write_stays(told_run, ["Stay 3"], tmp_path / "again")
    assert again.read_text(encoding="utf-8") == pages[0]
    (named,) = write_stays(told_run, [ids[2]], tmp_path, identifiers=True)
    assert named.name == f"{ids[2]}.html"
    assert f"<h1>Stay 3 ({ids[2]})</h1>" in named.read_text(encoding="utf-8")


def test_an_id_that_is_no_file_name_keeps_the_pseudonym(told_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(told_run.path, run.path)
    first = run.table("explained.parquet")["stay_id"][0]
    for name in ["explained", "attributions", "explained_stays", "explained_observations", "explained_episodes"]:
        table = run.table(f"{name}.parquet")
        write_table(run.path / f"{name}.parquet", table.with_columns(pl.col("stay_id").replace(first, "../../x")))
    (out,) = write_stays(run, ["../../x"], tmp_path / "pages", identifiers=True)
    assert out == tmp_path / "pages/stay-1.html"


def test_an_unexplained_stay_is_refused_before_anything_is_written(told_run: Run, tmp_path: Path) -> None:
    ids = told_run.table("explained.parquet")["stay_id"].to_list()
    for unknown in ("p9", ids[-1]):  # the last one only stands behind the tables of the cohort
        with pytest.raises(InputError) as fault:
            write_stays(told_run, [ids[0], unknown], tmp_path / "pages")
        assert str(fault.value).startswith(
            f"1 of 2 stays were not explained, the first is {unknown!r}: run sepsis_lstm explains 4 stays ("
        )
        assert str(fault.value).endswith("clinical-lstm explain run=sepsis_lstm explanation.per_reason=...")
    with pytest.raises(InputError, match="name at least one stay"):
        write_stays(told_run, [], tmp_path / "pages")
    assert not (tmp_path / "pages").exists()


def test_a_run_without_explanations_has_no_page_of_a_stay(judged_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(judged_run.path, run.path)
    (run.path / "explained.parquet").unlink()
    with pytest.raises(InputError, match="has no explained stay; explain it with: clinical-lstm explain run=run"):
        write_stays(run, ["a"], tmp_path / "pages")


def test_a_stay_alone_shows_more_than_its_card(told_page: str, alone: str) -> None:
    card = told_page.split('<article aria-labelledby="stay-2"', 1)[1].split("</article>", 1)[0]
    assert alone.count("<article") == 1
    drivers = r'<ol class="drivers">.*?</ol>'
    last_of_card, last_alone = (re.findall(drivers, part, re.DOTALL)[-1] for part in (card, alone))
    assert last_alone.count("<li>") > last_of_card.count("<li>") == 6
    assert alone.count("clinical-lstm") == 0


def test_a_card_says_what_a_reader_needs(document: str) -> None:
    text = plain(document)
    for phrase in [
        "Of predictions with this risk, ",
        "had the onset within 6 h.",
        "The alarm policy (from ",
        "What the last 4 h changed",
        "Had nothing been measured in the last 4 h, the risk would be ",
        "Last vital sign at this time",
        "Measured in the last 24 h 12 of 12 variables",
        "% of the contributions",
        "All contributions as a table",
    ]:
        assert phrase in text, phrase


def test_every_chart_is_told_in_words(document: str) -> None:
    charts = [attrs for _, attrs, _ in Outline(document).tags if "data-chart" in attrs]
    assert charts
    for attrs in charts:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"] or "") > 20
    told = [attrs["aria-label"] or "" for attrs in charts if (attrs["aria-label"] or "").startswith("Stay ")]
    assert told
    assert all("the explained time" in label and "contributions over time" in label for label in told)


def test_every_picture_without_words_is_hidden_from_readers_aloud(document: str) -> None:
    pictures = [attrs for tag, attrs, _ in Outline(document).tags if tag in ("svg", "img", "canvas")]
    assert pictures
    assert all(attrs.get("aria-hidden") == "true" or attrs.get("aria-label") for attrs in pictures)


def test_headings_are_in_order_and_named_parts_exist(document: str) -> None:
    tags = Outline(document).tags
    levels = [int(tag[1]) for tag, _, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs, _ in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["aria-labelledby"] for _, attrs, _ in tags if "aria-labelledby" in attrs} <= set(ids)


def test_tables_have_headers_and_names(document: str) -> None:
    tables = re.findall(r"<table.*?</table>", document.split("<script>", 1)[0], re.DOTALL)
    assert tables
    for table in tables:
        assert "aria-label=" in table.split(">", 1)[0] or "<caption>" in table
        headers = re.findall(r"<th\b[^>]*>", table)
        assert headers and all("scope=" in header for header in headers)


def test_language_landmarks_and_what_the_keyboard_reaches(document: str) -> None:
    outline = Outline(document)
    tags = [tag for tag, _, _ in outline.tags]
    assert outline.tags[0][:2] == ("html", {"lang": "en"})
    assert tags.count("main") == 1 and "footer" in tags
    details = tags.count("details")
    summaries = [inside for tag, _, inside in outline.tags if tag == "summary"]
    assert details == len(summaries) > 0
    assert all(inside[-1] == "details" for inside in summaries)
    assert not [attrs for _, attrs, _ in outline.tags if int(attrs.get("tabindex") or 0) > 0]
    scrolled = [attrs for _, attrs, _ in outline.tags if attrs.get("class") == "wide"]
    assert scrolled and all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolled)
    assert ":focus-visible { outline: 2px solid" in document
    assert "outline: none" not in document and "outline: 0" not in document.split("<script>", 1)[0]


@pytest.mark.parametrize("dark", [0, 1])
def test_all_text_colours_can_be_read(dark: int) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("paper", "card"):
        for name in TEXTS:
            pair = [luminance(theme.PALETTE[one][dark]) for one in (name, ground)]
            assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5, (name, ground)


def test_text_has_no_other_colours(document: str) -> None:
    style = document.split("<style>", 1)[1].split("</style>", 1)[0]
    used = set(re.findall(r"[{;]\s*color: ([^;}]+)", style))
    readable = {f"var(--{name})" for name in [*TEXTS, "series3"]}
    assert used <= readable, used - readable
