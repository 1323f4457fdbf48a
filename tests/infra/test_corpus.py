"""`make corpus` where there is nothing to replay."""

from pathlib import Path

import pytest

from infra.corpus import ENVIRONMENT, main


def test_without_recordings_it_says_so_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there_already = ENVIRONMENT.exists()
    assert main(tmp_path / "corpus-judge", tmp_path / "open") == 0
    assert capsys.readouterr().out == "Nothing to replay: corpus-judge and open not there.\n"
    (tmp_path / "corpus-judge").mkdir()
    assert main(tmp_path / "corpus-judge", tmp_path / "open") == 0
    assert capsys.readouterr().out == "Nothing to replay: open not there.\n"
    assert ENVIRONMENT.exists() == there_already
