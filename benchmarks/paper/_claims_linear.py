"""What the paper says of linear models, and of masks."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.paper._findings import Estimate, Finding, differences, each, mean_of, spearmans


def autocorrelation(table: pd.DataFrame) -> Iterator[Finding]:
    near = table[table["distance_px"] <= 16]
    values = each(spearmans(near.groupby("data"), "distance_px", "correlation"), "data sets")
    statistic = "Spearman, distance and correlation, up to 16 pixels"
    yield Finding("3", "pixels correlate, the less the farther", statistic, values, -1, "fig03_autocorrelation")


def ising(table: pd.DataFrame) -> Iterator[Finding]:
    for figure, ndim, where in (("4", 1, "chain"), ("16 to 21", 2, "lattice")):
        masked, plain = masked_and_plain(table[table["ndim"] == ndim])
        statistic = f"|weight| at borders over elsewhere, {where}, MAE less AE"
        more = each(masked["border_ratio"] - plain["border_ratio"], "settings")
        yield Finding(figure, "an MAE looks at the borders of patches", statistic, more, 1, "fig04_ising")
    yield from chain(table[table["ndim"] == 1])


def masked_and_plain(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """MAEs, and the AE beside each."""
    masked = table[table["model"] == "MAE"].set_index(["coupling", "patch", "mask"])
    plain = table[table["model"] == "AE"].set_index(["coupling", "patch"])
    return masked, plain.reindex(masked.index.droplevel("mask")).set_axis(masked.index)


def chain(table: pd.DataFrame) -> Iterator[Finding]:
    """On a lattice waves of equal variance mix, so that its features need not be sinusoids."""
    finding = partial(Finding, "4", script="fig04_ising")
    masked, plain = masked_and_plain(table)
    alone = plain.groupby("coupling").first()
    values = each(alone["sinusoid_r2"], "couplings")
    statistic = "R² of the best sinusoid, mean of an AE's features"
    yield finding("features of an AE are sinusoids", statistic, values, 1, than=0.9)
    less = each(plain["sinusoid_r2"] - masked["sinusoid_r2"], "settings")
    yield finding("those of an MAE are others", "the same, AE less MAE", less, 1)
    values = each(alone["distance_to_identity"], "couplings")
    statistic = "squared distance over that of 0; 6 features of 32 leave 26/32 whatever the data"
    yield finding("an AE's product W2 W1 is close to the identity", statistic, values, -1, than=0.1)
    more = each(plain["largest_on_diagonal"] - masked["largest_on_diagonal"], "settings")
    statistic = "share of rows with their largest entry there, AE less MAE"
    yield finding("it is largest along the diagonal", statistic, more, 1)


def sinusoids(table: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "4", script="fig04_sinusoids")
    plain = table[table["model"] == "AE"].set_index("n_components")
    statistic = "R² of the best sinusoid along each axis, mean of an AE's features, CIFAR-10"
    claim = "features of an AE are sinusoids, of natural images too"
    yield finding(claim, statistic, each(plain["sinusoid_r2"], "ranks"), 1, than=0.9)
    values = each(plain["sinusoid_r2"] - plain["mixed_r2"], "ranks")
    yield finding(f"{claim}: more than their space asks for", "the same, less that of them mixed", values, 1)
    masked = table[table["model"] != "AE"].set_index("n_components")["sinusoid_r2"]
    less = each(plain["sinusoid_r2"].reindex(masked.index) - masked, "settings of rank and patch")
    yield finding("those of an MAE are others, of natural images too", "the same, AE less MAE", less, 1)


def influence(table: pd.DataFrame) -> Iterator[Finding]:
    script = "fig05_influence"
    radius = table.groupby(["n_components", "model"])["radius_px"]
    values = (radius.min().unstack()["MAE"] - radius.max().unstack()[["AE", "DAE"]].max(axis=1)).to_numpy()
    statistic = "mean distance, nearest MAE less farthest AE or DAE (pixels)"
    yield Finding("5", "MAEs look farther than AEs and DAEs", statistic, each(values, "ranks"), 1, script)
    plain = table[table["model"] == "AE"].set_index("n_components")["radius_px"]
    noisy = table[table["model"] == "DAE"].set_index("n_components")["radius_px"]
    more, full = noisy - plain.reindex(noisy.index), table["n_components"].max()
    for where, some in (("full rank", more[more.index == full]), ("ranks below", more[more.index < full])):
        statistic = f"mean distance, DAE less AE (pixels), {where}"
        values = each(some, "settings of rank and noise")
        yield Finding("5", f"DAEs are less local than AEs, {where}", statistic, values, 1, script)
    yield from by_mask_and_patch(table[table["model"] == "MAE"])


def by_mask_and_patch(mae: pd.DataFrame) -> Iterator[Finding]:
    script = "fig05_influence"
    small, large = mae[mae["patch"] == 2], mae[mae["patch"] > 2]
    for claim, rows, axis, column, sign in (
        ("high masks look farther, patches of 4 to 16", large, "mask", "radius_px", 1),
        ("high masks look farther, patches of 2", small, "mask", "radius_px", 1),
        ("large patches look farther", mae, "patch", "radius_px", 1),
        ("masks take weight off what is near", mae, "mask", "share_in_patch_4", -1),
        ("patches take weight off what is near", mae, "patch", "share_in_patch_4", -1),
    ):
        other = "patch" if axis == "mask" else "mask"
        values = each(spearmans(rows.groupby([other, "n_components"]), axis, column), f"settings of {other} and rank")
        what = "mean distance" if column == "radius_px" else "share within 4 × 4 pixels"
        yield Finding("6", claim, f"Spearman, {axis} and {what}", values, sign, script)


def gabor(table: pd.DataFrame) -> Iterator[Finding]:
    most = table["labelled"].isin([table["labelled"].min(), table["labelled"].max()])
    for (view, k, labelled), some in table[most].groupby(["view", "n_components", "labelled"], sort=False):
        near, far = some[some["dilation"] == 1], some[some["dilation"] == 8]
        over_pca = [differences(rows, "mask", 0.9, 0.0, "r2", ["seed"]) for rows in (near, far)]
        over_low = differences(far, "mask", 0.9, 0.25, "r2", ["seed"])
        for claim, statistic, values in (
            ("high masks help where the task needs distant pixels", "R² at dilation 8, mask 0.9 less PCA", over_pca[1]),
            ("high masks help more than low ones there", "R² at dilation 8, mask 0.9 less 0.25", over_low),
            (
                "the farther it needs to look, the more they gain, or the less they lose",
                "R², mask 0.9 less PCA, at dilation 8 less at 1",
                over_pca[1] - over_pca[0],
            ),
        ):
            where = f"images {view}, {k} features, {labelled} labelled"
            yield Finding("7", claim, f"{statistic}, {where}", mean_of(values, "draws"), 1, "fig07_gabor")


def gabor_scan(table: pd.DataFrame) -> Iterator[Finding]:
    """In how many set-ups it is as in the paper, each told by 1 or 0."""
    for (view, target), rows in table.groupby(["view", "target"], sort=False):
        found, tried = int(rows["as_in_paper"].sum()), int(rows["setups"].sum())
        values = each(np.arange(tried) < found, "set-ups of patch, rank and Gabor function")
        claim = "masks are alike at dilation 1, the highest is best at 8"
        yield Finding("7", claim, f"share of set-ups, {target}, images {view}", values, 1, "fig07_scan")


def depth(table: pd.DataFrame) -> Iterator[Finding]:
    table = table[table["n_components"] <= 4]
    few, mean_map = table[table["model"] == "LinearMAE"], table[table["model"] == "mean map"]["gain_m"].min()
    scenes = f"scenes whose depth is linear in pixels: PCA gains at most {-mean_map:.3f} m over the mean map here"
    for where, rows, needs in (
        ("patches of 2 to 8", few[few["patch"] < 16], scenes),
        ("patches of 16", few[few["patch"] == 16], ""),
    ):
        worst = rows.loc[rows["gain_m"].idxmin()]
        estimate = Estimate(worst["gain_m"], worst["gain_low"], worst["gain_high"], "bootstrap", 654, "test images")
        statistic = f"RMSE of depth, PCA less the worst of up to 4 features (m), {where}"
        claim = f"every patch beats an AE, with few features: {where}"
        yield Finding("depth", claim, statistic, estimate, 1, "depth_maps", needs=needs, is_too_small=bool(needs))


def spectra(table: pd.DataFrame) -> Iterator[Finding]:
    values = each(table["drawn_error"], "settings of patch and mask")
    statistic = "error of the closed form against drawn masks, relative to the largest power"
    claim = "a mask's spectrum is that of a patch, squared"
    yield Finding("22", claim, statistic, values, -1, "fig22_spectra", than=0.05)
