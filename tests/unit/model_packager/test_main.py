"""Packaging as a processing job."""

import json

from packager import __main__ as job

CODE = {"inference.py": b"pass\n"}


def test_prints_the_answer(event, archives, capsys):
    request = event(archives.tar_gz({"model.pth": b"weights"}), archives.tar_gz(CODE))
    assert job.main([json.dumps(request)]) == 0
    assert json.loads(capsys.readouterr().out)["strategy"] == "memory"


def test_leaves_the_error_where_the_job_shows_it(monkeypatch, tmp_path, event, archives, capsys):
    monkeypatch.setattr(job, "_MESSAGE", tmp_path / "message")
    request = event(b"not gzip", archives.tar_gz(CODE))
    assert job.main([json.dumps(request)]) == 1
    assert (tmp_path / "message").read_text().startswith("NotGzipError: s3://models/in/model.tar.gz")
    assert "NotGzipError" in capsys.readouterr().err


def test_says_how_it_is_used(capsys):
    assert job.main([]) == 2
    assert "usage: python -m packager" in capsys.readouterr().err
