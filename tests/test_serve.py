"""examples/serve.py: trained on a folder, and asked by real requests."""

import base64
import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

for library in ("fastapi", "uvicorn"):  # of the script, which runs in a process of its own
    pytest.importorskip(library)

SCRIPT = Path(__file__).parents[1] / "examples" / "serve.py"


def stripes(along, phase):
    waves = 127 + 100 * np.sin(np.arange(40) / 3 + phase)
    picture = np.broadcast_to(waves[:, np.newaxis] if along == "rows" else waves, (40, 40))
    return np.stack([picture, picture, 255 - picture], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    rng = np.random.default_rng(0)
    for name in ("columns", "rows"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(60):
            Image.fromarray(stripes(name, rng.uniform(0, 6))).save(folder / "pictures" / name / f"{number}.png")
    subprocess.run([sys.executable, SCRIPT, "train", folder / "pictures", folder / "model.joblib"], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, SCRIPT, "run", folder / "model.joblib", "--port", str(port)])
    try:
        for _ in range(600):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        server.terminate()
        server.wait(30)


def ask(address, body):
    request = urllib.request.Request(address, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["columns", "rows"])
def test_a_picture_with_a_hole(address, name):
    whole = stripes(name, 1.0)
    holes = np.dstack([whole, np.full((40, 40), 255, np.uint8)])
    holes[10:25, 10:25] = 0
    answer = ask(address, png(holes))
    assert answer["label"] == name
    assert 0.5 < answer["probability"] <= 1
    filled = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["filled"])))).astype(float)
    expected = np.asarray(Image.fromarray(whole).resize((32, 32))).astype(float)
    assert filled.shape == (32, 32, 3)
    assert np.abs(filled - expected)[10:18, 10:18].mean() < 30


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"no picture", b"", png(stripes("rows", 1.0))[:200]])
def test_a_body_that_is_no_picture(address, body):
    with pytest.raises(urllib.error.HTTPError, match="415"):
        ask(address, body)
