from __future__ import annotations

from pathlib import Path

from harness.engine.worker.settings import WorkerSettings


def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    settings = WorkerSettings(
        target="deserialize",
        parser=None,
        seed=3,
        campaign=tmp_path,
        memory=tmp_path / "m",
        log=tmp_path / "log",
        seed_dirs=(tmp_path,),
        guards=('["a"]',),
        record=tmp_path / "r",
    )
    settings.save(tmp_path / "settings.json")
    assert WorkerSettings.load(tmp_path / "settings.json") == settings
