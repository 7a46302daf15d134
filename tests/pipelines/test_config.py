"""The schema: types and names are checked before a stage runs."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from pipelines.config import CONF, register


@pytest.mark.parametrize(
    "wrong", ["seed=one", "resume=perhaps", "nonsense=1", "evaluation.replicats=5", "runtime.threads=x"]
)
def test_a_wrong_type_or_name_does_not_compose(wrong):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(HydraException):
        compose("config", [wrong])


def test_the_sample_is_found_wherever_the_package_lies():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        from pathlib import Path

        assert list(Path(compose("config", ["experiment=demo"]).source.root).glob("*.tar.xz"))
