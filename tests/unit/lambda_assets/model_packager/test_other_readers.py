"""Readers in other languages, which treat gzip's corner cases each in its own way."""

import gzip
import hashlib
import os
import shutil
import subprocess

import pytest

CODE = {"inference.py": b"def model_fn(model_dir): ...\n"}
MODEL = {"model.pth": os.urandom(300_000), "n" * 150 + "/labels.txt": b"cat\ndog\n"}

JAVA = """
import java.security.*;
import java.util.zip.GZIPInputStream;

class Read {
    public static void main(String[] arguments) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        GZIPInputStream plain = new GZIPInputStream(System.in);
        new DigestInputStream(plain, digest).transferTo(java.io.OutputStream.nullOutputStream());
        System.out.println(String.format("%064x", new java.math.BigInteger(1, digest.digest())));
    }
}
"""

GO = """
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

func main() {
	stream, err := gzip.NewReader(os.Stdin)
	if err != nil {
		panic(err)
	}
	stream.Multistream(false)
	reader := tar.NewReader(stream)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			panic(err)
		}
		if header.Typeflag == tar.TypeReg {
			digest := sha256.New()
			if _, err := io.Copy(digest, reader); err != nil {
				panic(err)
			}
			fmt.Printf("%x %s\\n", digest.Sum(nil), header.Name)
		}
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		panic(err)
	}
}
"""

pytestmark = pytest.mark.conformance


@pytest.fixture(params=["splice", "rewrite"])
def packaged(request, archives):
    old_code = {} if request.param == "splice" else {"code/inference.py": b"old"}
    strategy, data = archives.package_bytes(archives.model_archive(CODE), archives.tar_gz(old_code | MODEL))
    assert strategy == request.param
    return data


@pytest.mark.skipif(shutil.which("javac") is None, reason="no Java compiler is installed")
def test_java_reads_to_the_end(packaged, tmp_path):
    (tmp_path / "Read.java").write_text(JAVA)
    read = subprocess.run(
        ["java", tmp_path / "Read.java"], input=packaged, check=True, capture_output=True
    ).stdout
    assert read.decode().strip() == hashlib.sha256(gzip.decompress(packaged)).hexdigest()


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go compiler is installed")
def test_go_reads_every_file_of_the_first_member(packaged, tmp_path):
    (tmp_path / "read.go").write_text(GO)
    environment = os.environ | {"GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off"}
    read = subprocess.run(
        ["go", "run", tmp_path / "read.go"], input=packaged, check=True, capture_output=True, env=environment
    ).stdout
    found = dict(reversed(line.split(" ", 1)) for line in read.decode().splitlines())
    files = MODEL | {f"code/{name}": data for name, data in CODE.items()}
    assert found == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
