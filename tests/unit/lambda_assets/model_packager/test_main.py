"""Packaging as a processing job."""

import json

import pytest
from packager import __main__ as job

CODE = {"inference.py": b"pass\n"}


def test_prints_the_answer(event, archives, capsys):
    request = event(archives.tar_gz({"model.pth": b"weights"}), archives.tar_gz(CODE))
    assert job.main([json.dumps(request)]) == 0
    assert json.loads(capsys.readouterr().out)["strategy"] == "memory"


def test_leaves_the_entity_tag_where_the_job_shows_it(tmp_path, event, archives, capsys):
    message = tmp_path / "output" / "message"
    request = event(archives.tar_gz({"model.pth": b"weights"}), archives.tar_gz(CODE))
    assert job.main(["--message", str(message), "--", json.dumps(request)]) == 0
    etag = json.loads(capsys.readouterr().out)["model_data_etag"]
    assert etag
    assert json.loads(message.read_text()) == {"model_data_etag": etag}


def test_puts_an_event_in_pieces_together(event, archives, capsys):
    text = json.dumps(event(archives.tar_gz({"model.pth": b"weights"}), archives.tar_gz(CODE)))
    assert job.main(["--", *(text[start : start + 10] for start in range(0, len(text), 10))]) == 0
    assert json.loads(capsys.readouterr().out)["model_data_url"] == "s3://models/out/model.tar.gz"


def test_leaves_the_error_where_the_job_shows_it(tmp_path, event, archives, capsys):
    message = tmp_path / "output" / "message"
    request = event(b"not gzip", archives.tar_gz(CODE))
    assert job.main(["--message", str(message), "--", json.dumps(request)]) == 1
    assert message.read_text().startswith("NotGzipError: s3://models/in/model.tar.gz")
    assert "NotGzipError" in capsys.readouterr().err


def test_says_how_it_is_used(capsys):
    with pytest.raises(SystemExit) as raised:
        job.main([])
    assert raised.value.code == 2
    assert "usage: python -m packager" in capsys.readouterr().err
