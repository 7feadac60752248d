"""A folder of pictures of every kind, made by Pillow."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageOps

from skmae import LinearMAE
from skmae.datasets import load_image, load_image_folder

RED, BLUE = (220, 30, 40), (10, 60, 200)


def halves(height=40, width=60, left=RED, right=BLUE):
    """Two colours, side by side."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:, : width // 2], picture[:, width // 2 :] = left, right
    return Image.fromarray(picture)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("b", "a"):
        (folder / name / "deeper").mkdir(parents=True)
        for number in range(3):
            halves().save(folder / name / f"{number}.png")
        halves().save(folder / name / "deeper" / "x.png")
    return folder


def load_one(tmp_path, image, name="x.png", **options):
    folder = tmp_path / "one"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    image.save(folder / name, **options.pop("save", {}))
    return load_image_folder(folder, 8, **options).images[0].astype(int)


def test_classes_are_folders_in_order(folder):
    (folder / "a" / "notes.txt").write_text("no picture")
    (folder / "a" / ".hidden.png").write_text("no picture")
    (folder / "empty").mkdir()
    found = load_image_folder(folder, 16)
    assert found.images.shape == (8, 16, 16, 3)
    assert found.images.dtype == np.uint8
    assert found.filenames == [f"{c}/{n}.png" for c in "ab" for n in (0, 1, 2, "deeper/x")]
    assert_array_equal(found.target, [0, 0, 0, 0, 1, 1, 1, 1])
    assert found.target_names == ["a", "b"]
    assert found.broken == {}
    assert found.ignored == ["a/notes.txt"]
    LinearMAE(2, patch=4).fit(found.images)


def test_without_classes(folder):
    found = load_image_folder(folder / "a" / "deeper")
    assert found.target is None
    assert found.target_names == []
    assert found.filenames == ["x.png"]
    assert found.images.shape == (1, 64, 64, 3)


def test_pictures_beside_classes_are_named(folder):
    halves().save(folder / "lost.jpg")
    with pytest.warns(
        UserWarning, match=r"holds pictures beside its folders \['a', 'b'\].*: 1 left out \('lost.jpg' is the first"
    ):
        found = load_image_folder(folder)
    assert len(found.images) == 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_colours_are_kept(tmp_path, mode):
    name = "x.tif" if mode in ("CMYK", "YCbCr") else "x.png"
    image = halves().convert(mode)
    image.info["compression"] = "tiff_lzw"  # without it, Pillow before 13 cannot read the YCbCr that it wrote
    picture = load_one(tmp_path, image, name, fit="stretch")
    assert_allclose(picture[:, 1], np.tile(RED, (8, 1)), atol=6)
    assert_allclose(picture[:, 6], np.tile(BLUE, (8, 1)), atol=6)


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.webp", "x.bmp", "x.gif", "x.ppm", "x.tga", "x.jp2"])
def test_formats(tmp_path, name):
    picture = load_one(tmp_path, halves(80, 80), name, fit="stretch")
    assert_allclose(picture[:, 1], np.tile(RED, (8, 1)), atol=12)


@pytest.mark.parametrize("grey", [0, 100, 255])
@pytest.mark.parametrize(
    ("dtype", "most", "name"),
    [("u2", 65535, "x.png"), ("u2", 65535, "x.tif"), ("i4", 65535, "x.tif"), ("f4", 1, "x.tif"), ("u1", 255, "x.png")],
)
def test_grey_of_many_bits(tmp_path, grey, dtype, most, name):
    image = Image.fromarray(np.full((24, 24), grey / 255 * most).astype(dtype))
    assert_array_equal(load_one(tmp_path, image, name), np.full((8, 8, 3), grey))


def test_black_and_white(tmp_path):
    assert_array_equal(load_one(tmp_path, Image.new("1", (9, 9), 1)), np.full((8, 8, 3), 255))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    if mode == "P":
        palette = Image.new("RGB", (16, 16), (9, 90, 9)).quantize(4)
        picture = load_one(tmp_path, palette, save={"transparency": palette.getpixel((0, 0))})
    else:
        picture = load_one(tmp_path, image.convert(mode))
    assert_array_equal(picture, np.full((8, 8, 3), 255))


def test_half_transparent_is_mixed_with_white(tmp_path):
    picture = load_one(tmp_path, Image.new("RGBA", (16, 16), (0, 100, 200, 51)))
    assert_allclose(picture[0, 0], 255 + 0.2 * (np.array([0, 100, 200]) - 255), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_exif_says(tmp_path, orientation):
    corner = np.zeros((40, 60, 3), np.uint8)
    corner[:20, :30] = 255  # top left as stored; where each orientation shows it:
    shown = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left"}
    shown |= {5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left"}
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_one(tmp_path, Image.fromarray(corner), "x.jpg", save={"exif": exif, "quality": 95}, fit="stretch")
    quarters = {
        f"{vertical} {horizontal}": picture[rows, columns].mean()
        for vertical, rows in (("top", slice(0, 3)), ("bottom", slice(5, 8)))
        for horizontal, columns in (("left", slice(0, 3)), ("right", slice(5, 8)))
    }
    assert max(quarters, key=lambda name: quarters[name]) == shown[orientation]


def test_ways_to_fit(tmp_path):
    wide = halves(20, 60)
    crop, stretch, pad = (load_one(tmp_path, wide, fit=fit) for fit in ("crop", "stretch", "pad"))
    for picture, rows in ((crop, slice(8)), (stretch, slice(8)), (pad, slice(3, 5))):
        assert_allclose(picture[rows, 1], np.tile(RED, (8, 1))[rows], atol=20)
        assert_allclose(picture[rows, 6], np.tile(BLUE, (8, 1))[rows], atol=20)
    assert_array_equal(pad[[0, 1, 6, 7]], np.zeros((4, 8, 3)))


def test_the_middle_is_cut_out(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 15:45] = 255
    assert_array_equal(load_one(tmp_path, Image.fromarray(picture)), np.full((8, 8, 3), 255))
    assert_array_equal(load_one(tmp_path, Image.fromarray(picture.swapaxes(0, 1))), np.full((8, 8, 3), 255))


def test_large_jpegs_are_decoded_small(tmp_path):
    """At a part of their size, which changes next to nothing."""
    means = np.random.default_rng(0).integers(60, 200, (16, 16, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
    picture = load_one(tmp_path, Image.fromarray(means), "x.jpg")
    with Image.open(tmp_path / "one" / "x.jpg") as whole:
        expected = np.asarray(ImageOps.fit(whole, (8, 8), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(picture - expected).mean() < 5


def broken(folder):
    whole = (folder / "a" / "1.png").read_bytes()
    (folder / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "2.png").write_text("a text")


def test_broken_files_are_named_and_left_out(folder):
    broken(folder)
    with pytest.warns(UserWarning, match=r"2 of 8 pictures cannot be read: a/1.png \(.*\); b/2.png \(Unidentified"):
        found = load_image_folder(folder)
    assert list(found.broken) == ["a/1.png", "b/2.png"]
    assert len(found.images) == len(found.filenames) == len(found.target) == 6
    assert_array_equal(found.target, [0, 0, 0, 1, 1, 1])
    assert "b/2.png" not in found.filenames
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = load_image_folder(folder, on_error="ignore")
    assert silent.broken == found.broken
    with pytest.raises(ValueError, match=r"1\.png cannot be read .*on_error='warn'"):
        load_image_folder(folder, on_error="raise")


def test_values_beyond_what_is_known_are_broken(tmp_path):
    with pytest.raises(ValueError, match=r"No picture is left: 1 of 1 .* grey values are 0 to 7, beyond 0 to 1"):
        load_one(tmp_path, Image.fromarray(np.array([[0, 7]], np.float32).repeat(9, 0)), "x.tif")


def test_memory_map(folder, tmp_path):
    whole = load_image_folder(folder, 16)
    mapped = load_image_folder(folder, 16, memory_map=tmp_path / "images.npy")
    assert isinstance(mapped.images, np.memmap)
    assert not mapped.images.flags.writeable
    assert_array_equal(mapped.images, whole.images)
    with pytest.raises(FileExistsError, match=r"images.npy' is there already"):
        load_image_folder(folder, 16, memory_map=tmp_path / "images.npy")
    broken(folder)
    shorter = load_image_folder(folder, 16, memory_map=tmp_path / "shorter.npy", on_error="ignore")
    assert_array_equal(shorter.images, whole.images[[0, 2, 3, 4, 5, 7]])
    with pytest.raises(ValueError, match="cannot be read"):
        load_image_folder(folder, 16, memory_map=tmp_path / "failed.npy", on_error="raise")
    assert {path.name for path in tmp_path.iterdir()} == {"images.npy", "shorter.npy", "pictures"}


def test_more_than_are_read_at_once(tmp_path):
    for number in range(130):
        Image.new("L", (9, 9), number).save(tmp_path / f"{number:03}.png")
    assert_array_equal(load_image_folder(tmp_path, 8).images[:, 0, 0, 0], np.arange(130))


def test_folders_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere' does not exist. Pass a folder"):
        load_image_folder(tmp_path / "nowhere")
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(NotADirectoryError, match=r"x.txt' is a file. Pass the folder"):
        load_image_folder(tmp_path / "x.txt")
    with pytest.raises(ValueError, match=r"There are no pictures in .*known by their endings: \.jpg"):
        load_image_folder(tmp_path)
    with pytest.raises(ValueError, match="'fit' parameter"):
        load_image_folder(tmp_path, fit="squeeze")


def test_progress(folder, capsys):
    load_image_folder(folder, verbose=True)
    assert "8.00/8.00" in capsys.readouterr().err


def test_links_lead_to_pictures_or_are_named(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    halves().save(elsewhere / "far.png")
    (folder / "a" / "linked").symlink_to(elsewhere)
    (folder / "a" / "again").symlink_to(folder / "a")  # a circle
    (folder / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match=r"b/gone.png \(FileNotFoundError"):
        found = load_image_folder(folder)
    assert found.filenames.count("a/linked/far.png") == 1
    assert len(found.images) == 9
    assert list(found.broken) == ["b/gone.png"]


def test_folders_that_may_not_be_read_are_named(folder, monkeypatch):
    scandir = os.scandir

    def refuses(path):
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)
    with pytest.warns(UserWarning, match=r"a/deeper \(PermissionError: Permission denied\); b/deeper"):
        found = load_image_folder(folder)
    assert len(found.images) == 6
    with pytest.raises(ValueError, match="a/deeper cannot be read"):
        load_image_folder(folder, on_error="raise")


def test_a_memory_map_nowhere(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"memory_map='.*nowhere/x.npy' is in a folder that does not exist"):
        load_image_folder(folder, memory_map=tmp_path / "nowhere" / "x.npy")


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("kind", ["turned", "16 bits", "palette", "CMYK", "half transparent"])
def test_one_file_is_as_it_is_in_its_folder(tmp_path, kind, fit):
    picture, ending, options = halves(30, 60), ".png", {}
    if kind == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    elif kind == "16 bits":
        picture = Image.fromarray(np.arange(1800, dtype=np.uint16).reshape(30, 60) * 36)
    elif kind == "palette":
        picture = picture.quantize(4)
    elif kind == "CMYK":
        picture, ending = picture.convert("CMYK"), ".jpg"
    else:
        picture.putalpha(Image.linear_gradient("L").resize((60, 30)))
    path = tmp_path / f"x{ending}"
    picture.save(path, **options)
    expected = load_image_folder(tmp_path, 8, fit=fit).images[0]
    assert_array_equal(load_image(path, 8, fit=fit), expected)
    assert_array_equal(load_image(io.BytesIO(path.read_bytes()), 8, fit=fit), expected)


def test_what_is_transparent_may_be_a_hole(tmp_path):
    picture = halves(40, 40)
    assert_array_equal(as_holes(picture, tmp_path), np.asarray(picture.resize((8, 8)), np.float32))
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[:20] = 0
    picture.putalpha(Image.fromarray(alpha))
    found = as_holes(picture, tmp_path)
    assert np.isnan(found[:4]).all()
    assert_array_equal(found[6:], np.asarray(halves(40, 40).resize((8, 8)), np.float32)[6:])


def test_what_is_put_around_a_picture_is_no_hole(tmp_path):
    halves(20, 60).save(tmp_path / "x.png")
    found = load_image(tmp_path / "x.png", 8, fit="pad", transparent="nan")
    assert_array_equal(found[[0, 1, 6, 7]], np.zeros((4, 8, 3)))


def test_what_is_transparent_of_16_bits(tmp_path):
    values = np.full((16, 16), 40_000, np.uint16)
    values[:8] = 1234
    made = tmp_path / "made.png"
    Image.fromarray(values).save(made)
    # by hand: Pillow below 11 does not write it
    transparent = struct.pack(">I4sH", 2, b"tRNS", 1234)
    transparent += struct.pack(">I", zlib.crc32(transparent[4:]))
    header = 8 + 25  # signature, IHDR
    made.write_bytes(made.read_bytes()[:header] + transparent + made.read_bytes()[header:])
    assert_array_equal(load_image(made, 8)[:3], np.full((3, 8, 3), 255))
    assert np.isnan(load_image(made, 8, transparent="nan")[:3]).all()


def as_holes(picture, folder):
    picture.save(folder / "x.png")
    return load_image(folder / "x.png", 8, transparent="nan")


def test_a_file_that_cannot_be_read(tmp_path):
    halves().save(tmp_path / "x.jpg")
    (tmp_path / "short.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("no picture")
    for name in ("short.jpg", "notes.txt"):
        with pytest.raises(ValueError, match=rf"file=.*{name}.* cannot be read as a picture"):
            load_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "none.png")
