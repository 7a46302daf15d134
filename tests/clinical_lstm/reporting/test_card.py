"""The model card: every item has an answer or says what is missing; what people said is text, and nothing else."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from clinical_lstm import schemas
from clinical_lstm.artifacts import Run, read_json, write_json, write_table
from clinical_lstm.errors import InputError
from clinical_lstm.reporting import write_page
from clinical_lstm.reporting.card import answers, card, keep, keys, write_card
from clinical_lstm.reporting.card.build import EXEMPT, FILLED, MISSING, MODULES, Line
from clinical_lstm.reporting.card.known import FEWEST, apart
from clinical_lstm.reporting.card.write import literal

CONF = Path(__file__).parents[3] / "conf" / "card"
HOSTILE = "<script>alert(1)</script> | a ]( *b* `c` \\ \x1b[31m\u2028\n# not a heading\n\n- not a list\n\n| x |"


@pytest.fixture
def fresh(build_run: Callable[..., Run], tmp_path: Path) -> Run:
    """Give a run of this test alone."""
    run = build_run(tmp_path / "runs")
    run.mark("evaluate", "key", ["scores.parquet"], split="test")
    return run


def lines(run: Run, **told: str) -> dict[str, Line]:
    return {line.id: line for line in card(run, told).lines}


def edit(run: Run, name: str, **changes: Any) -> None:
    write_json(run.path / name, read_json(run.path / name) | changes)


# --- the items --------------------------------------------------------------------------------------------------------


def test_the_items_are_those_of_the_checklists() -> None:
    ids = [item.id for item in answers.items()]
    assert len(set(ids)) == len(ids)
    assert sum(name.startswith("T") for name in ids) == 52  # Collins et al. 2024
    assert {name.removeprefix("T").rstrip("abcdefg") for name in ids if name.startswith("T")} == set(
        map(str, range(1, 28))
    )
    assert sum(name.startswith("PD") for name in ids) == 16  # Moons et al. 2025
    assert sum(name.startswith("PE") for name in ids) == 18


def test_every_item_is_answered_by_a_function_or_by_people() -> None:
    for item in answers.items():
        assert item.facts or item.keys, item.id
        if item.facts:
            module, name = item.facts.split(".")
            assert callable(getattr(MODULES[module], name)), item.facts


@pytest.mark.parametrize("name", ["unfilled", "demo"])
def test_a_yaml_names_every_key_and_no_other(name: str) -> None:
    content = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    assert list(content) == keys()
    assert answers.checked(content).keys() == {key for key, value in content.items() if value is not None}
    if name == "unfilled":
        assert set(content.values()) == {None}


def test_every_key_of_the_unfilled_file_says_what_to_write() -> None:
    text = (CONF / "unfilled.yaml").read_text(encoding="utf-8")
    assert len(re.findall(r"^\w+: null +# \w.{15,}$", text, re.MULTILINE)) == len(keys())


# --- answers ----------------------------------------------------------------------------------------------------------


def test_every_item_has_a_status_and_says_why_it_is_open(fresh: Run) -> None:
    for line in card(fresh, {}).lines:
        assert line.status in (FILLED, MISSING, EXEMPT)
        assert bool(line.reason) is (line.status != FILLED), line
        assert line.answer or line.tables or line.reason, line
        assert not line.open or line.status == MISSING


def test_what_nobody_said_is_missing_and_names_its_key(fresh: Run) -> None:
    before = lines(fresh)["T18a"]
    assert (before.status, before.open, before.answer) == (MISSING, ["funding"], [])
    after = lines(fresh, funding="None was received.")["T18a"]
    assert (after.status, after.answer, after.files) == (FILLED, ["None was received."], ["card.funding"])


def test_an_item_with_two_keys_needs_both(fresh: Run) -> None:
    assert lines(fresh, intended_use="To learn.")["T3b"].open == ["intended_users"]
    assert lines(fresh, intended_use="To learn.", intended_users="Nobody.")["T3b"].status == FILLED


def test_an_unknown_key_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"card takes no 'fundin': did you mean 'funding'\? There are: .*unsafe_uses"):
        answers.checked({"fundin": None})
    with pytest.raises(InputError, match=r"card\.funding must be a text, not False: put it in quotes"):
        answers.checked({"funding": False})


def test_answers_stay_with_the_run_until_it_is_trained_anew(fresh: Run) -> None:
    keep(fresh, {"funding": "A.", "contact": "B.", "ethics": None})
    assert keep(fresh, {"contact": "C."}) == {"funding": "A.", "contact": "C."}
    assert keep(fresh, {"funding": ""}) == {"contact": "C."} == answers.kept(fresh)
    assert {line.id: line for line in card(fresh).lines}["C1"].answer == ["C."]
    edit(fresh, "manifest.json", seed=8)
    assert answers.kept(fresh) == {}


# --- what the run knows -----------------------------------------------------------------------------------------------


def test_facts_come_from_the_run(fresh: Run) -> None:
    found = lines(fresh)
    text = {name: " ".join(line.answer) for name, line in found.items()}
    assert "Sepsis within 6 h and Sepsis within 12 h" in text["T1"]
    assert "AUROC 0.815 (0.804–0.826)" in text["T2"] and "Prevalence 0.018" in text["T2"]
    assert "CC BY 4.0" in text["T5a"]
    assert "1\u202f857 stays with an event to learn from, 0.026 per trainable weight (71\u202f234)" in text["T10"]
    assert ["loss.name", "weighted_bce"] in found["T12c"].tables[1].rows
    assert ["Sepsis within 6 h", "8\N{NO-BREAK SPACE}%", "max_utility", "val"] in found["T15"].tables[0].rows
    assert found["T20a"].tables[0].rows[0] == ["records read", "40\u202f336", "12\u202f402\u202f551"]
    assert any(row[0] == "test" and row[2] == "8\u202f066" for row in found["T21"].tables[0].rows)
    assert "198 of 200 predictions" in text["C5"]
    assert "torch 2.13.0" in text["C6"] and "Seed: 7." in text["C6"]
    assert found["T8a"].reason.startswith("there is no shipped definition of Sepsis")
    assert found["T10"].files == ["cohort.json", "manifest.json"]


def test_the_definition_of_a_shipped_complication_is_told(fresh: Run) -> None:
    task = read_json(fresh.path / "manifest.json")["task"]
    own = {"name": "hypotension", "below_mmhg": 60.0}
    edit(fresh, "manifest.json", task=task | {"complications": [own]}, targets=[["hypotension", 6.0]])
    found = lines(fresh, outcome_rationale="It can be treated.")
    text = " ".join(found["T8a"].answer)
    assert "below_mmhg = 60.0, min_minutes = 30.0" in text and "It can be treated." in text
    assert found["T8a"].files[-2:] == ["clinical_lstm/complications/hypotension.py", "card.outcome_rationale"]
    assert found["T8b"].status == found["T8c"].status == EXEMPT
    assert found["PE3.3"].verdict == "no" and "Mean arterial pressure" in found["PE3.3"].answer[0]
    assert found["PE3.2"].verdict == "yes"
    assert "damped or flushed line" in " ".join(found["T26"].answer)


def test_a_policy_of_alarms_is_shown_where_it_was_chosen(fresh: Run) -> None:
    policy = {"threshold": 0.05, "silence_hours": 6.0, "reset_hours": 0.0, "rule": "budget", "chosen_on": "val"}
    budget = {"false_alarms_per_patient_day": 1.0}
    write_json(
        fresh.path / "alarms.json", [{"complication": "sepsis", "horizon_hours": 6.0, "budget": budget, **policy}]
    )
    line = lines(fresh)["T15"]
    assert line.files == ["alarms.json"]
    assert line.tables[0].head == ["Target", "Threshold", "Silence hours", "Reset hours", "Budget", "Rule", "Chosen on"]
    assert line.tables[0].rows[0][1:5] == [
        "5\N{NO-BREAK SPACE}%",
        "6",
        "0",
        "false_alarms_per_patient_day = 1.0",
    ]


def test_gaps_between_groups_are_told_with_the_interval_for_all(fresh: Run) -> None:
    key = {"predictor": "model", "complication": "sepsis", "horizon_hours": 6.0, "metric": "auroc", "reference": "male"}
    counts = {"comparisons": 2, "n_rows": 900, "n_stays": 90, "n_positives": 30}
    spans = {"low": -0.09, "high": -0.01, "simultaneous_low": -0.1, "simultaneous_high": -0.005}
    rows = [
        key | counts | {"dimension": "sex", "level": "female", "value": -0.05} | spans,
        key | counts | {"dimension": "age", "level": "80+", "value": -0.05} | spans | {"simultaneous_high": 0.01},
    ]
    table = pl.DataFrame(rows, schema=schemas.empty(schemas.Gaps).schema)
    write_table(fresh.path / "gaps.parquet", schemas.check(schemas.Gaps, table, "gaps"))
    line = lines(fresh)["T14"]
    assert "2, beyond chance: 1" in line.answer[-2]
    assert line.answer[-1] == "Sepsis within 6 h, sex female minus male: −0.050 (−0.100 to −0.005)."
    assert line.files == ["scores.parquet", "gaps.parquet"]


@pytest.mark.parametrize(
    ("settings", "says", "shifted"),
    [
        ({"stratify": True}, "drawn into the splits by a hash of the patient, within site and outcome", EXEMPT),
        ({"fold": 0}, "one fold", EXEMPT),
        ({"site": "B"}, "one hospital", MISSING),
        ({"temporal": True, "site": None}, "by the time of their first admission", MISSING),
    ],
)
def test_how_splits_were_made_decides_whether_a_shift_is_asked_for(
    fresh: Run, settings: dict, says: str, shifted: str
) -> None:
    edit(fresh, "cohort.json", split=settings)
    found = lines(fresh)
    assert says in found["T16"].answer[0]
    assert found["T20c"].status == shifted


# --- signalling questions ---------------------------------------------------------------------------------------------


def test_facts_decide_only_what_they_can(fresh: Run) -> None:
    found = lines(fresh)
    verdicts = {name: line.verdict for name, line in found.items() if name.startswith("P")}
    assert verdicts["PE4.5"] == verdicts["PE4.1"] == "yes"
    assert verdicts["PE4.7"] == "in part"  # no net benefit
    assert any("0.970 (0.910–1.030)" in text for text in found["PE4.7"].answer)
    assert verdicts["PD4.5"] == "in part" and "no information" in found["PD4.5"].answer[-1]
    open_ones = {name for name, verdict in verdicts.items() if verdict == "needs a human judgement"}
    assert {"PD1.1", "PD1.3", "PD2.4", "PD3.1", "PE1.3", "PE3.4"} <= open_ones
    assert all(found[name].status == MISSING for name in open_ones)
    assert not [line for line in found.values() if "low risk" in " ".join([line.verdict, *line.answer])]
    judged = lines(fresh, probast_outcome="Fitting, by a reader who built nothing.")["PD3.1"]
    assert judged.verdict == "judged by people" and judged.status == MISSING  # the definition itself is not known


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cohort.json", {"leakage": {"patients_in_two_splits": 1, "fitted_on": "train"}}),
        ("cohort.json", {"leakage": {"patients_in_two_splits": 0, "fitted_on": "all"}}),
        ("thresholds.json", [{"complication": "sepsis", "horizon_hours": 6.0, "threshold": 0.1, "chosen_on": "test"}]),
    ],
)
def test_a_leak_is_a_no(fresh: Run, name: str, change: Any) -> None:
    edit(fresh, name, **change) if isinstance(change, dict) else write_json(fresh.path / name, change)
    assert lines(fresh)["PE4.5"].verdict == "no"


def test_judging_on_validation_is_a_no(fresh: Run) -> None:
    fresh.mark("evaluate", "key", ["scores.parquet"], split="val")
    found = lines(fresh)
    assert found["PE4.1"].verdict == found["PE4.5"].verdict == "no"


@pytest.mark.parametrize(
    ("training", "calibrated", "verdict"),
    [
        ({"weighting": "uniform", "loss": "bce"}, True, ""),
        ({"weighting": "cinc2019"}, True, "yes"),
        ({"weighting": "class", "calibration": "identity"}, True, "no"),
        ({"loss": "focal"}, False, "no"),
    ],
)
def test_weighting_is_undone_by_calibration_or_not(fresh: Run, training: dict, calibrated: bool, verdict: str) -> None:
    edit(fresh, "manifest.json", training=training)
    if not calibrated:
        (fresh.path / "calibrator.json").unlink()
    found = lines(fresh)
    assert found["PD4.4"].verdict == verdict
    assert found["PE4.4"].verdict == ("yes" if verdict else "")
    assert (found["PD4.4"].status == EXEMPT) is (verdict == "")


def test_an_average_is_judged_by_what_its_members_share(fresh: Run) -> None:
    members = [{"name": "lstm", "dropout": 0.3}, {"name": "gru", "inputs": {"encoding": "piecewise", "noise": 0.0}}]
    own = {"model": {"name": "ensemble", "arguments": {"members": members}}, "members": [{}, {}], "seed": [1, 2]}
    edit(fresh, "manifest.json", **own, best_epoch=None, training={"weighting": "uniform"})
    found = lines(fresh)
    assert found["PD4.5"].answer[0] == "Used: dropout, averaging of models."
    assert "piecewise" in found["PD4.2"].answer[0]
    assert found["PD4.4"].verdict == "no information" and "different losses" in found["T13"].reason


# --- stages that have not run -----------------------------------------------------------------------------------------


def test_a_run_that_was_only_trained_has_a_card(build_run: Callable[..., Run], tmp_path: Path) -> None:
    run = build_run(tmp_path, explain=False)
    for name in ("scores.parquet", "curves.parquet", "calibrator.json", "thresholds.json", "history.csv"):
        (run.path / name).unlink()
    found = lines(run)
    for name in ("T2", "T12e", "T14", "T23a", "T23b", "T25", "PE4.1", "PE4.2", "PE4.7"):
        assert found[name].status == MISSING and found[name].reason, name
    assert found["PE4.1"].verdict == found["PE4.7"].verdict == "no information"
    assert found["C5"].reason == "the run has not been explained"
    assert found["T1"].status == found["T21"].status == FILLED


def test_says_how_the_model_stands_as_the_evaluation_said_it(fresh: Run) -> None:
    told = [one["ranking"][0] for one in fresh.json("summary.json")]
    answer = lines(fresh)["T25"].answer
    assert len(answer) >= len(told) == 2
    assert "By AUROC better than gradient boosting (+0.020 (+0.011 to +0.029))." in answer[0]
    assert answer[0].startswith("Sepsis within 6 h: ") and not any("gradient_boosting" in line for line in answer)


def test_a_cohort_that_tells_little_leaves_items_open(fresh: Run) -> None:
    write_json(fresh.path / "cohort.json", {"name": "bare"})
    found = lines(fresh)
    assert {found[name].status for name in ("T5a", "T10", "T12a", "T16", "T20a", "T21")} == {MISSING}
    assert found["PE4.5"].verdict == found["PD4.1"].verdict == "no information"


def test_a_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json is missing; make it with: clinical-lstm train"):
        card(Run(tmp_path))


# --- privacy ----------------------------------------------------------------------------------------------------------


def with_group(run: Run, name: str, stays: int, positives: int) -> None:
    """Add a judged group to the scores of a run."""
    table = run.table("scores.parquet")
    own = table.filter(pl.col("subset") == "site=A", pl.col("predictor") == "model")
    counts = [pl.lit(count, pl.Int64).alias(key) for key, count in [("n_stays", stays), ("n_positives", positives)]]
    write_table(
        run.path / "scores.parquet", pl.concat([table, own.with_columns(pl.lit(name).alias("subset"), *counts)])
    )


def test_small_groups_are_hidden(fresh: Run) -> None:
    for name, stays, positives in [
        ("sex=female", 3, 1),
        ("sex=male", 8063, 777),
        ("age=65-79", 611, 4),
        ("age=80+", 512, 77),
    ]:
        with_group(fresh, name, stays, positives)
    found = lines(fresh)
    rows = {row[1]: row for row in found["T23a"].tables[1].rows}
    assert rows["Sex female"][2:] == ["<5", "<5"] + ["–"] * (len(rows["Sex female"]) - 4)
    assert rows["Sex male"][2] == "hidden"  # 8,066 - 8,063 would tell the three
    assert rows["Age 65-79"][2:5] == ["611", "<5", "–"]
    assert rows["Age 80+"][3:5] == ["hidden", "0.800 (0.789–0.811)"]
    groups = {(row[0], row[1]): row[2] for row in found["T20b"].tables[0].rows}
    assert groups["Sex", "female"] == f"<{FEWEST}"
    assert "Not judged apart" not in " ".join(found["T14"].answer)
    assert apart({"a": 2, "b": 3, "c": 9}) == {"a": "<5", "b": "<5", "c": "9"}


def test_no_stay_or_patient_is_named(fresh: Run, tmp_path: Path) -> None:
    write_card(fresh, tmp_path)
    ids = pl.read_parquet(fresh.path / "predictions.parquet").select(pl.col("stay_id", "patient_id").unique().implode())
    named = [name for column in ids.row(0) for name in column]
    assert len(named) == 10
    for text in [(tmp_path / name).read_text(encoding="utf-8") for name in ("card.md", "card.json")]:
        assert not [name for name in named if name in text]


# --- files ------------------------------------------------------------------------------------------------------------


def test_equal_runs_give_equal_bytes(fresh: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_card(fresh, tmp_path / name)
    for file in ("card.md", "card.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["card.json", "card.md"]


def test_json_and_markdown_say_the_same(fresh: Run, tmp_path: Path) -> None:
    demo = yaml.safe_load((CONF / "demo.yaml").read_text(encoding="utf-8"))
    keep(fresh, demo | {"contact": HOSTILE})
    made = write_card(fresh, tmp_path)
    content = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    parts = re.split(r"^#### ", (tmp_path / "card.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(parts) == 1 + len(content["items"]) == 1 + len(made.lines)
    assert literal(made.told()) in parts[0]
    assert content["summary"]["open"] == made.open
    for part, item in zip(parts[1:], content["items"]):
        assert part.startswith(f"{item['id']}: {item['status']}")
        for text in [item["asks"], *item["answer"], *item["files"], *([item["reason"]] if item["reason"] else [])]:
            assert literal(text) in part
        for table in item["tables"]:
            for row in table["rows"]:
                assert f"| {' | '.join(literal(text) for text in row)} |" in part


class Tags(html.parser.HTMLParser):
    """The names of the tags in a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_hostile_text_is_harmless(fresh: Run, tmp_path: Path) -> None:
    keep(fresh, {"contact": "Someone."})
    calm, before = write_page(fresh, tmp_path / "calm.html").read_text(encoding="utf-8"), write_card(fresh, tmp_path)
    keep(fresh, {"contact": HOSTILE, "funding": HOSTILE})
    page = write_page(fresh, tmp_path / "page.html").read_text(encoding="utf-8")
    chapter = page[page.index('<section id="card">') :].split("</section>")[0]
    assert "alert(1)" in chapter and "<script" not in chapter
    assert Tags(page).found.count("script") == Tags(calm).found.count("script")
    after = write_card(fresh, tmp_path)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "<" not in text and "\x1b" not in text and "\u2028" not in text
    assert text.count("\n#") == 4 + len(before.lines) + sum(len(found) for found in before.chapters().values()) - 1
    assert not re.search(r"^(# not|- not a list|\| x)", text, re.MULTILINE)
    assert after.filled == before.filled + 1


def test_the_page_ends_with_the_card(page: str, run: Run) -> None:
    sections = re.findall(r'<section id="(\w+)"', page)
    assert sections[-1] == "card"
    chapter = page[page.index('<section id="card">') :]
    assert chapter.count("<strong>") == len(answers.items())
    assert "TRIPOD+AI" in chapter and 'card.funding="…"' in chapter


def test_the_card_never_loads_torch() -> None:
    code = "import sys; import clinical_lstm.reporting.card; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
