"""CIFAR-10: the archive, its download, and local files, with a small stand-in for each."""

import hashlib
import io
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmae.datasets import _cifar10, fetch_cifar10

RECORDS = np.random.default_rng(0).integers(0, 256, (6, 4, _cifar10._RECORD), dtype=np.uint8)
RECORDS[:, :, 0] %= 10


def archive_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, records in zip(
            [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"], RECORDS, strict=True
        ):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = records.nbytes
            tar.addfile(info, io.BytesIO(records.tobytes()))
    return buffer.getvalue()


class Server(HTTPServer):
    """Serves one file; may break off after some bytes, may not know ranges, and may say anything before or instead."""

    def __init__(self, content, knows_ranges=True):
        self.content, self.knows_ranges, self.break_after, self.ranges = content, knows_ranges, None, []
        self.raw = None
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/cifar-10-binary.tar.gz"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.server.raw is not None:
            self.wfile.write(self.server.raw)
            return
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.knows_ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("SKMAE_DATA", raising=False)
    content = archive_bytes()
    server = Server(content)
    monkeypatch.setattr(_cifar10, "_URL", server.url)
    monkeypatch.setattr(_cifar10, "_MD5", hashlib.md5(content).hexdigest())
    yield server
    server.shutdown()
    server.server_close()


def assert_is_cifar(bunch, records):
    records = records.reshape(-1, _cifar10._RECORD)
    assert_array_equal(bunch.target, records[:, 0])
    assert bunch.images.shape == (len(records), 32, 32, 3)
    assert_array_equal(bunch.images[2, 5, 7], records[2, [1 + 32 * 5 + 7 + 1024 * c for c in range(3)]])
    assert_array_equal(bunch.data, bunch.images.reshape(len(records), -1))
    assert bunch.target_names[3] == "cat"


def test_download_then_read_without_asking_again(server, tmp_path):
    assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])
    assert_is_cifar(fetch_cifar10(tmp_path, subset="test", download_if_missing=False), RECORDS[5:])
    assert server.ranges == [None]
    assert os.listdir(tmp_path) == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_is_taken_up_again(server, tmp_path, knows_ranges):
    server.knows_ranges = knows_ranges
    server.break_after = 1000
    with pytest.raises(OSError, match=r"broke off.*after 1000 of .*call again to go on from there"):
        fetch_cifar10(tmp_path)
    assert os.listdir(tmp_path) == ["cifar-10-binary.tar.gz.part"]
    server.break_after = None
    assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])
    assert server.ranges == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\nabc",
            "broke off .*after 3 of 9999999 bytes|IncompleteRead",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "broke off .*IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab", "broke off .*IncompleteRead"),
        (b"nonsense\r\n\r\n", "broke off .*BadStatusLine"),
        (b"", "broke off .*RemoteDisconnected"),
        (b"HTTP/1.0 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n", "broke off .*more than 100 headers"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\nabc", "part is damaged: its 3 bytes have md5"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: -5\r\n\r\nabc", "part is damaged: its 3 bytes have md5"),
        (b"HTTP/1.0 206 OK\r\nContent-Length: 2\r\n\r\nabc", "part is damaged: its 2 bytes have md5"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "answered 404 Not Found. Download it by hand"),
    ],
)
def test_whatever_a_server_answers_is_an_oserror_and_nothing_wrong_is_read_later(server, tmp_path, answer, names):
    server.raw = answer
    with pytest.raises(OSError, match=names):
        fetch_cifar10(tmp_path)
    assert not (tmp_path / "cifar-10-binary.tar.gz").exists()
    server.raw = None
    try:
        assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])
    except OSError as error:  # what the server sent first was no beginning of the file: it is thrown away
        assert "was deleted; call again to retry" in str(error)  # noqa: PT017
        assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])


def test_a_whole_part_needs_only_its_name(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(server.content)
    assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])


@pytest.mark.usefixtures("server")
def test_a_wrong_md5_is_refused_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(_cifar10, "_MD5", "0" * 32)
    with pytest.raises(
        OSError, match=r"part is damaged: its \d+ bytes have md5 .*, not 0000.*was deleted; call again to retry"
    ):
        fetch_cifar10(tmp_path)
    assert not os.listdir(tmp_path)


def test_an_archive_that_is_not_there(server, tmp_path, monkeypatch):
    with pytest.raises(OSError, match="is not there, and download_if_missing=False"):
        fetch_cifar10(tmp_path, download_if_missing=False)
    monkeypatch.setattr(_cifar10, "_URL", server.url.replace("http://127.0.0.1", "http://localhost") + "x")
    server.content = b""
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="broke off"):
        fetch_cifar10(tmp_path)


def test_a_truncated_archive_says_what_to_do(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(server.content[:-2000])
    with pytest.raises(OSError, match=r"is damaged: its \d+ bytes have md5 .* Delete it and call fetch_cifar10 again"):
        fetch_cifar10(tmp_path)


def test_an_archive_damaged_at_rest_is_never_read(server, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    for place in range(0, len(server.content), len(server.content) // 40):
        damaged = bytearray(server.content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(OSError, match=r"tar.gz is damaged: .* Delete it and call fetch_cifar10 again"):
            fetch_cifar10(tmp_path)
    path.write_bytes(server.content)
    assert_is_cifar(fetch_cifar10(tmp_path), RECORDS[:5])


@pytest.mark.usefixtures("server")
def test_labels_beyond_the_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SKMAE_DATA", str(tmp_path))
    x = np.zeros((3, 32, 32, 3), np.uint8)
    for label, y in ((10, [0, 10, 3]), (-1, [0, -1, 3])):
        np.savez(tmp_path / "cifar10_test.npz", x=x, y=y)
        with pytest.raises(
            OSError, match=rf"cifar10_test.npz is damaged: label {label} of image 1 is not one of 0 to 9"
        ):
            fetch_cifar10(subset="test")
    monkeypatch.delenv("SKMAE_DATA")
    records = RECORDS.copy()
    records[5, 2, 0] = 77
    monkeypatch.setitem(globals(), "RECORDS", records)
    content = archive_bytes()
    monkeypatch.setattr(_cifar10, "_MD5", hashlib.md5(content).hexdigest())
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(OSError, match=r"tar.gz is damaged: label 77 of image 2 is not one of 0 to 9"):
        fetch_cifar10(tmp_path, subset="test")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_of_a_local_file_is_found_or_changes_nothing(tmp_path, monkeypatch, save):
    monkeypatch.setenv("SKMAE_DATA", str(tmp_path))
    path = tmp_path / "cifar10_test.npz"
    x = RECORDS[0, :, 1:].reshape(4, 32, 32, 3)
    save(path, x=x, y=np.arange(4))
    whole = path.read_bytes()
    ends = [*range(600), *range(len(whole) - 600, len(whole))]  # where headers and the directory are
    for place in [*ends, *range(600, len(whole) - 600, 499)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place * 7 + place // 8) % 8
        path.write_bytes(damaged)
        try:
            read = fetch_cifar10(subset="test")
        except OSError as error:
            assert "cifar10_test.npz" in str(error)  # noqa: PT017
        else:
            assert_array_equal(read.images, x)
            assert_array_equal(read.target, np.arange(4))


def test_local_npz_files_come_first(server, tmp_path, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (6, 3, 32, 32, 3), dtype=np.uint8)
    names = [*(f"cifar10_train{i}.npz" for i in range(1, 6)), "cifar10_test.npz"]
    for name, x in zip(names, images, strict=True):
        np.savez(tmp_path / name, x=x, y=np.arange(3, dtype=np.uint8))
    monkeypatch.setenv("SKMAE_DATA", str(tmp_path))
    assert_array_equal(fetch_cifar10().images, images[:5].reshape(-1, 32, 32, 3))
    assert_array_equal(fetch_cifar10(subset="test").target, [0, 1, 2])
    assert not server.ranges
    assert_is_cifar(fetch_cifar10(tmp_path / "home"), RECORDS[:5])  # an explicit folder comes before the variable
    (tmp_path / "cifar10_train3.npz").unlink()
    with pytest.raises(OSError, match=r"has no cifar10_train3.npz. Point it at a folder that has them"):
        fetch_cifar10()


def test_a_damaged_local_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "cifar10_test.npz"
    x, y = np.zeros((3, 32, 32, 3), np.uint8), np.arange(3)
    np.savez(path, x=x, y=y)
    whole = path.read_bytes()
    monkeypatch.setenv("SKMAE_DATA", str(tmp_path))
    for damage, message in (
        (lambda: path.write_bytes(whole[: len(whole) // 2]), "BadZipFile: .*fetch the file again, or unset SKMAE_DATA"),
        (lambda: path.write_bytes(b""), "EOFError"),
        (lambda: np.savez(path, x=x), "KeyError"),
        (lambda: np.savez(path, x=x, y=y[:2]), r"y is int64 of shape \(2,\), not int64 of shape \(3,\)"),
        (lambda: np.savez(path, x=x, y=np.full(3, "cat")), "y is <U3 of shape"),
        (lambda: np.savez(path, x=x, y=y + 0.5), "y is float64 of shape"),
        (lambda: np.savez(path, x=x / 2, y=y), "x is float64 of shape"),
        (lambda: np.savez(path, x=np.uint8(3), y=y), r"x is uint8 of shape \(\), not uint8 of shape \(0, 32, 32, 3\)"),
    ):
        damage()
        with pytest.raises(OSError, match=rf"cifar10_test.npz cannot be read \(.*{message}"):
            fetch_cifar10(subset="test")


@pytest.mark.skipif(
    not os.path.exists(os.path.join(os.environ.get("SKMAE_DATA", ""), "cifar10_test.npz")),
    reason="SKMAE_DATA names no folder with cifar10_test.npz",
)
def test_the_real_test_set():
    cifar = fetch_cifar10(subset="test")
    assert cifar.images.shape == (10_000, 32, 32, 3)
    assert_array_equal(np.bincount(cifar.target), [1000] * 10)
    np.testing.assert_allclose(cifar.images.mean(axis=(0, 1, 2)) / 255, [0.49422, 0.48513, 0.45041], atol=1e-5)


# names: the archive begins with the second in which it was made, and processes that run the tests must agree
@pytest.mark.parametrize("content", [b"no archive", archive_bytes()[:-2000]], ids=["other", "cut short"])
def test_an_archive_of_something_else_is_told(tmp_path, monkeypatch, content):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    monkeypatch.setattr(_cifar10, "_MD5", hashlib.md5(content).hexdigest())
    with pytest.raises(OSError, match=r"cifar-10-binary\.tar\.gz is not the archive of CIFAR-10 .*Delete it and call"):
        fetch_cifar10(tmp_path, subset="test")


def test_an_empty_name_is_no_folder():
    with pytest.raises(ValueError, match=r"data_home='' names no folder. Pass its path, or None"):
        fetch_cifar10("", download_if_missing=False)
