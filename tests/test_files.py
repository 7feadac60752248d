"""Moments of data that is never in memory whole: batches and files."""

import tracemalloc

import numpy as np
import pytest

from skmae import LinearMAE, Moments


def write(folder, parts, kind):
    import pandas as pd

    paths = [folder / f"part{i}.{kind}" for i in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        if kind == "npy":
            np.save(path, part)
        else:
            pd.DataFrame(part, columns=[f"f{i}" for i in range(part.shape[1])]).to_parquet(path)
    return paths


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [7, 1024])
def test_files_hold_what_the_array_holds(kind, dtype, batch_size, tmp_path, rng):
    X = (rng.random((100, 12)) * 200).astype(dtype)
    moments = Moments.from_files(write(tmp_path, np.split(X, [40, 41]), kind), batch_size=batch_size)
    assert moments.n == 100
    np.testing.assert_allclose(moments.second, np.cov(X.T.astype(float), bias=True), rtol=1e-10, atol=1e-9)


def test_images_in_files_keep_their_shape(tmp_path, rng):
    images = rng.random((60, 6, 4, 3))
    moments = Moments.from_files(write(tmp_path, np.split(images, 3), "npy"))
    fitted = LinearMAE(3, patch=2).fit_moments(moments)
    assert fitted.image_shape_ == (6, 4, 3)
    np.testing.assert_allclose(fitted.transform(images), LinearMAE(3, patch=2).fit(images).transform(images), atol=1e-9)


def test_a_file_larger_than_a_batch_is_not_loaded_whole(tmp_path, rng):
    X = rng.integers(0, 256, (40_000, 64), dtype=np.uint8)
    (path,) = write(tmp_path, [X], "npy")
    del X
    Moments.from_files(path)  # imports done
    tracemalloc.start()
    Moments.from_files(path, batch_size=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000 * 64 / 4


def test_batches_of_a_generator(rng):
    X = rng.normal(size=(90, 4, 4))
    moments = Moments.from_batches(X[i : i + 20] for i in range(0, 90, 20))
    np.testing.assert_allclose(moments.second, Moments.from_data(X).second, atol=1e-12)
    assert moments.sample_shape == (4, 4)


@pytest.mark.parametrize("source", ["array", "batches", "files"])
def test_progress_is_shown_on_request_only(source, tmp_path, rng, capsys):
    X = rng.random((50, 6))
    paths = write(tmp_path, [X[:20], X[20:]], "npy")
    gather = {
        "array": lambda verbose: Moments.from_data(X, verbose=verbose),
        "batches": lambda verbose: Moments.from_batches([X[:20], X[20:]], verbose=verbose),
        "files": lambda verbose: Moments.from_files(paths, verbose=verbose),
    }[source]
    gather(False)
    assert capsys.readouterr() == ("", "")
    assert gather(True).n == 50
    out, err = capsys.readouterr()
    assert out == ""
    assert "50.0" in err
    assert "samples" in err


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:-n_bytes])


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize("n_bytes", [8, 400])
def test_a_file_cut_short_is_named(kind, n_bytes, tmp_path, rng):
    paths = write(tmp_path, np.split(rng.random((60, 5)), 3), kind)
    cut(paths[1], n_bytes)
    with pytest.raises(
        ValueError, match=r"part1\.\w+ cannot be read: it is cut short or damaged, or no .* Write it again"
    ):
        Moments.from_files(paths)


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_a_flipped_bit_names_the_file_or_is_in_the_numbers(kind, tmp_path, rng):
    (path,) = write(tmp_path, [rng.random((40, 3))], kind)
    whole = path.read_bytes()
    places = range(128) if kind == "npy" else [*range(0, len(whole), 7)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            moments = Moments.from_files(path, batch_size=16)
        except ValueError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            assert (moments.n, moments.n_features) == (40, 3)


def test_pages_are_compared_with_their_checksums(tmp_path, rng):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table({f"f{i}": rng.random(5000) for i in range(3)})
    path = tmp_path / "checked.parquet"
    parquet.write_table(table, path, write_page_checksum=True, compression="none", row_group_size=1000)
    assert Moments.from_files(path).n == 5000
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1  # a number in a later batch
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"checked.parquet cannot be read: it is cut short or damaged.*CRC"):
        Moments.from_files(path, batch_size=100)


def test_a_table_that_ends_early_without_a_word_is_refused(tmp_path):
    import pandas as pd

    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "short.parquet"
    pd.DataFrame(np.arange(120, dtype=np.float32).reshape(20, 6), columns=list("abcdef")).to_parquet(path)
    damaged = bytearray(path.read_bytes())
    page = parquet.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    damaged[page + 1] ^= 1  # it says that it is an index, which is passed over
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"short.parquet cannot be read: .*0 rows where 20 were written"):
        Moments.from_files(path)


def test_a_file_that_is_longer_than_it_says_is_refused(tmp_path, rng):
    with open(tmp_path / "two.npy", "wb") as file:
        np.save(file, rng.random((5, 3)))
        np.save(file, rng.random((5, 3)))
    with pytest.raises(ValueError, match=r"two.npy cannot be read: .*has 496 bytes, and its header says 248"):
        Moments.from_files(tmp_path / "two.npy")


def test_a_file_without_permission_is_not_called_damaged(tmp_path, rng, monkeypatch):
    (path,) = write(tmp_path, [rng.random((5, 3))], "npy")

    def refuse(*args, **kwargs):  # noqa: ARG001
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*part0.npy'"):
        Moments.from_files(path)


def test_bad_files(tmp_path, rng):
    X = rng.random((10, 5))
    good, narrow = write(tmp_path, [X, X[:, :4]], "npy")
    with pytest.raises(ValueError, match=r"differ in width: .*part0.npy has 5 features, .*part1.npy has 4"):
        Moments.from_files([good, narrow])
    with pytest.raises(FileNotFoundError, match=r"gone.npy does not exist"):
        Moments.from_files([good, tmp_path / "gone.npy"])
    with pytest.raises(ValueError, match=r"x.npz is not a shard .* pass .npy or .parquet"):
        Moments.from_files([good, tmp_path / "x.npz"])
    with pytest.raises(ValueError, match="paths is empty"):
        Moments.from_files([])
    with pytest.raises(ValueError, match=r"batch_size must be .* got 0"):
        Moments.from_files(good, batch_size=0)
    for name, array in [("flat", X[0]), ("text", np.array([["a", "b"]])), ("objects", np.array([[None, 1]]))]:
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(ValueError, match=rf"{name}.npy (holds an array of shape|cannot be read)"):
            Moments.from_files(tmp_path / f"{name}.npy")
    X[3, 2] = np.inf
    np.save(tmp_path / "inf.npy", X)
    with pytest.raises(ValueError, match=r"inf.npy, from row 2: .*X\[1, 2\] is inf"):
        Moments.from_files([good, tmp_path / "inf.npy"], batch_size=2)


def test_bad_tables(tmp_path, rng):
    import pandas as pd

    (good,) = write(tmp_path, [rng.random((10, 3))], "parquet")
    frame = pd.read_parquet(good)
    frame[["f1", "f0", "f2"]].to_parquet(tmp_path / "shuffled.parquet")
    with pytest.raises(ValueError, match=r"columns of .*shuffled.parquet are not those of .*part0"):
        Moments.from_files([good, tmp_path / "shuffled.parquet"])
    frame.assign(label="cat").to_parquet(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match=r"text.parquet has columns that are not numbers: \['label'\]"):
        Moments.from_files(tmp_path / "text.parquet")
    frame.assign(f1=[None, *frame.f1[1:]]).to_parquet(tmp_path / "gap.parquet")
    with_gap = Moments.from_files(tmp_path / "gap.parquet")
    np.testing.assert_allclose(with_gap.mean[1], frame.f1[1:].mean())
    frame.assign(f1=[np.inf, *frame.f1[1:]]).to_parquet(tmp_path / "inf.parquet")
    with pytest.raises(ValueError, match=r"inf.parquet, from row 0: .*X\[0, 1\] is inf"):
        Moments.from_files(tmp_path / "inf.parquet")


def test_tables_and_frames_have_the_same_columns(tmp_path, rng):
    import pandas as pd

    (path,) = write(tmp_path, [rng.random((10, 3))], "parquet")
    frame = pd.read_parquet(path)
    moments = Moments.from_files(path)
    assert (moments + Moments.from_data(frame)).n == 20
    with pytest.raises(ValueError, match="column 0 is 'f1' there and 'f0' here"):
        moments + Moments.from_data(frame[["f1", "f0", "f2"]])


def test_an_index_that_pandas_stored_is_no_feature(tmp_path, rng):
    import pandas as pd

    frame = pd.DataFrame(rng.random((20, 4)), columns=list("abcd"))
    frame[frame.a > 0.5].to_parquet(tmp_path / "some.parquet")
    moments = Moments.from_files(tmp_path / "some.parquet")
    np.testing.assert_allclose(moments.mean, frame[frame.a > 0.5].mean())


def test_categories_are_not_numbers(tmp_path):
    import pandas as pd

    pd.DataFrame({"a": [1.0, 2.0], "c": pd.Categorical(["x", "y"])}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(ValueError, match=r"c.parquet has columns that are not numbers: \['c'\]"):
        Moments.from_files(tmp_path / "c.parquet")


def test_bad_batches(rng):
    import pandas as pd

    with pytest.raises(ValueError, match="There is no batch"):
        Moments.from_batches(iter([]))
    with pytest.raises(ValueError, match="Batch 1: n_features is 3 in X and 4 in these moments"):
        Moments.from_batches([rng.random((5, 4)), rng.random((5, 3))])
    frame = pd.DataFrame(rng.random((5, 4)), columns=list("abcd"))
    with pytest.raises(ValueError, match=r"Batch 1: The columns of X are not .* column 0 is 'd' there and 'a' here"):
        Moments.from_batches([frame, frame[list("dcba")]])
    with pytest.raises(ValueError, match=r"Batch 0: .*contains infinity"):
        Moments.from_batches([np.full((5, 4), np.inf)])
