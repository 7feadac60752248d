"""The pieces of ``make gpu`` run: here on the CPU and tiny. What they measure is for a card alone."""

from importlib import import_module

import pytest
import torch

from benchmarks.gpu import _card
from benchmarks.gpu.__main__ import PIECES, main


@pytest.mark.parametrize("piece", ["speed", "jacobian", "moments", "recipe", "pickle"])
def test_a_piece_runs(piece):
    pytest.importorskip("transformers")
    module = import_module(PIECES[piece][0])
    rows = module.measure("cpu", _card.TINY)
    assert rows
    assert len({tuple(row) for row in rows}) == 1  # the same columns


def test_every_piece_is_a_module():
    assert all(import_module(module) for module, *_ in PIECES.values())


def test_a_piece_that_is_done_on_this_card_is_skipped(monkeypatch, tmp_path, capsys):
    from benchmarks import _provenance
    from benchmarks.gpu import __main__ as runner

    ran = []
    monkeypatch.setattr(_provenance, "RESULTS", tmp_path)
    monkeypatch.setattr(runner, "card", lambda: "a card")
    monkeypatch.setattr(runner, "run", lambda piece: ran.append(piece) or piece != "recipe")
    monkeypatch.setattr("sys.argv", ["gpu"])
    _provenance.save("gpu_speed", [{"card": "a card", "images_s": 1}])
    _provenance.save("gpu_moments", [{"card": "another card", "seconds": 1}])
    with pytest.raises(SystemExit, match=r"not done: recipe\. The same command goes on"):
        main()
    assert ran == [piece for piece in PIECES if piece != "speed"]
    assert "speed: done before on a card" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_card_it_says_so(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match=r"make gpu needs a CUDA device .* finds none here\. Nothing was run"):
        main()
