"""`inspect` from the command line: a report, a table, and one line for a mistake."""

from __future__ import annotations

import polars as pl


def test_a_report_and_nothing_else(cli, tiny_source, tmp_path):
    done = cli(tmp_path, "inspect", "source=physionet2019", f"source.root={tiny_source}", "source.shard_stays=100")
    assert done.returncode == 0, done.stderr
    assert "240 stays of 240 patients" in done.stdout
    assert "sepsis_label                   60 episodes in 60 stays (25.0%)" in done.stdout
    assert "shard 2: 240 stays so far" in done.stderr
    again = f"clinical-lstm prepare source=physionet2019 source.root={tiny_source} source.shard_stays=100 task="
    assert again in done.stdout.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_the_table_of_variables_as_a_file(cli, tiny_source, tmp_path):
    done = cli(tmp_path, "inspect", f"source.root={tiny_source}", "out=variables.csv")
    assert done.returncode == 0, done.stderr
    table = pl.read_csv(tmp_path / "variables.csv")
    row = table.row(by_predicate=pl.col("variable") == "heart_rate", named=True)
    assert row["unit"] == "/min" and 60 < row["median"] < 100 and row["severity"] == 0


def test_a_mistake_is_one_line(cli, tiny_source, tmp_path):
    for arguments, message in [
        ([f"source.root={tiny_source}", "out=table.parquet"], "is written as .csv"),
        (["source.root=nowhere"], "there is no file or folder nowhere"),
        ([f"source.root={tiny_source}", "task=sepsis_6h"], "inspect takes no 'task'"),
    ]:
        done = cli(tmp_path, "inspect", *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert message in done.stderr
