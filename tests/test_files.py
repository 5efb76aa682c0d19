"""What users download instead of data: told apart by its first bytes, and said in a sentence."""

import bz2
import gzip
import io
import json
import lzma
import math
import tarfile
import zipfile

import pytest

from nasviz.files import checked, checked_folder, read_json

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 498000000\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"


def tar(compression: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as archive:
        archive.addfile(tarfile.TarInfo("000000.pickle.pbz2"), io.BytesIO(b""))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"x", b"\x80\x04.", b"<\x01\x00\x00\x00\x00\x00\x00", b"{}", bytes(600), zipped()])
def test_data_passes(tmp_path, content):
    path = tmp_path / "data"
    path.write_bytes(content)
    assert checked(str(path), "the file") == path and path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; download the file again"),
        (LFS, "is a Git-LFS pointer.*`git lfs pull`"),
        (PAGE, "is a web page.*quota.*download the file in a browser"),
        (b"\xef\xbb\xbf<HTML>", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (tar(), "is a tar archive; unpack it and give the file"),
    ],
)
def test_what_is_no_data_is_named(tmp_path, content, sentence):
    path = tmp_path / "data"
    path.write_bytes(content)
    for read in (checked, checked_folder, read_json):
        with pytest.raises(ValueError, match=sentence) as caught:
            read(path, "the file")
        assert str(path) in str(caught.value) and str(caught.value).count("\n") == 0


def test_what_is_missing_or_a_folder(tmp_path):
    for read in (checked, checked_folder, read_json):
        with pytest.raises(FileNotFoundError, match="there is no such file; give the file"):
            read(tmp_path / "none", "the file")
    with pytest.raises(ValueError, match="is a folder; give the file"):
        checked(tmp_path, "the file")
    assert checked_folder(str(tmp_path), "the folder") == tmp_path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (zipped(), "is a zip archive; unpack it"),
        (gzip.compress(tar(), mtime=0), "is a gzip archive"),
        (bz2.compress(tar()), "is a bzip2 archive"),
        (lzma.compress(tar()), "is a xz archive"),
        (b"{}", "is a file; give the folder"),
    ],
)
def test_a_file_is_no_folder(tmp_path, content, sentence):
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        checked_folder(path, "the folder")


def test_json_is_read(tmp_path):
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"score": math.inf, "näme": [1, math.nan]}), encoding="utf-8")
    content = read_json(path, "the table")
    assert content["score"] == math.inf and content["näme"][0] == 1 and math.isnan(content["näme"][1])


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff\xfe\x00", b"[" * 200_000, b"null and more", b"9" * 5_000])
def test_broken_json_is_a_sentence(tmp_path, content):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no readable JSON .*download the table again") as caught:
        read_json(path, "the table")
    assert type(caught.value) is ValueError
