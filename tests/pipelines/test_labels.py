"""`labels` shows a cohort's targets, and one stay's hours."""

from __future__ import annotations


def test_overview_counts_every_target(project, cli):
    done = cli(project, "labels", "cohort=tiny")
    assert done.returncode == 0, done.stderr
    assert "sepsis_label within 6 h" in done.stdout
    assert "onset in" in done.stdout
    assert "stay=ID" in done.stdout


def test_a_stay_named_by_the_overview_is_shown(project, cli):
    listed = next(
        line for line in cli(project, "labels", "cohort=tiny").stdout.splitlines() if line.startswith("sepsis_label ")
    )
    stay = listed.split()[-1]
    done = cli(project, "labels", "cohort=tiny", f"stay={stay}")
    assert done.returncode == 0, done.stderr
    assert f"stay {stay}, patient" in done.stdout
    assert "1 episode(s)" in done.stdout


def test_mistakes_get_one_line(project, cli):
    for arguments, message in [
        ([], "say which cohort"),
        (["cohort=tinny"], "there is no cohort"),
        (["cohort=tiny", "stay=0"], "there is no stay '0'"),
    ]:
        done = cli(project, "labels", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
