"""What the paper found, against the results that are there: a statistic each, its interval, a verdict.

Intervals: "bootstrap" is a 95 % bootstrap over settings, or over pairs of settings that differ in one thing; "seeds"
and "settings" are the least and the greatest of them. Writes verdicts.csv.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks._provenance import RESULTS, save
from benchmarks.paper._scale import SCALES, Scale, arguments
from benchmarks.paper.fig10_grids import KEYS

RESAMPLES = 4000


@dataclass(frozen=True)
class Finding:
    """`values` agree with the paper where they are above zero (`sign` 1), below (-1) or about zero (0)."""

    figure: str
    paper: str
    statistic: str
    values: np.ndarray
    sign: int
    script: str
    interval: str = "settings"
    function: Callable[[np.ndarray], float] = np.mean

    def row(self) -> dict[str, Any]:
        low, high = self._limits()
        numbers = {"value": float(self.function(self.values)), "low": low, "high": high}
        return {
            "figure": self.figure,
            "paper": self.paper,
            "statistic": self.statistic,
            **{name: round(number, 4) for name, number in numbers.items()},
            "interval": self.interval,
            "verdict": self._verdict(low, high) + (" (one seed)" if self._is_single() else ""),
            "command": f"python -m benchmarks.paper.{self.script}",
        }

    def _is_single(self) -> bool:
        return self.interval == "seeds" and len(self.values) == 1

    def _limits(self) -> tuple[float, float]:
        if self.interval != "bootstrap":
            return float(np.min(self.values)), float(np.max(self.values))
        rng, n = np.random.default_rng(0), len(self.values)
        resampled = [self.function(self.values[rng.integers(0, n, n)]) for _ in range(RESAMPLES)]
        low, high = np.nanpercentile(resampled, [2.5, 97.5])
        return float(low), float(high)

    def _verdict(self, low: float, high: float) -> str:
        if self.interval == "bootstrap" and len(self.values) < 5:
            return "not decidable at this size"
        if self.sign == 0:
            return "consistent" if low <= 0 <= high else "not reproduced"
        if min(low * self.sign, high * self.sign) > 0:
            return "reproduced"
        if max(low * self.sign, high * self.sign) <= 0:
            return "not reproduced"
        return "not decidable at this size" if self.interval == "bootstrap" else "in some settings"


def rank(pairs: np.ndarray) -> float:
    """Spearman's correlation of two columns."""
    a, b = pairs.T
    return float(spearmanr(a, b).statistic) if len(np.unique(a)) > 1 and len(np.unique(b)) > 1 else np.nan


def ranks(groups: Any, a: str, b: str) -> np.ndarray:
    """Spearman's correlation of two columns in each group."""
    return np.array([rank(group[[a, b]].to_numpy()) for _, group in groups])


def differences(table: pd.DataFrame, axis: str, high: Any, low: Any, value: str, others: list[str]) -> np.ndarray:
    """Of a value, between two levels of an axis, all else the same."""
    levels = [table[table[axis] == level].set_index(others)[value] for level in (high, low)]
    return (levels[0] - levels[1]).dropna().to_numpy()


def autocorrelation(table: pd.DataFrame) -> Iterator[Finding]:
    near = table[table["distance_px"] <= 16]
    values = ranks(near.groupby("data"), "distance_px", "correlation")
    statistic = "Spearman, distance and correlation, up to 16 pixels"
    yield Finding("3", "pixels correlate, the less the farther", statistic, values, -1, "fig03_autocorrelation")


def ising(table: pd.DataFrame) -> Iterator[Finding]:
    for figure, ndim, where in (("4", 1, "chain"), ("16 to 21", 2, "lattice")):
        some = table[table["ndim"] == ndim]
        plain = some[some["model"] == "AE"].set_index(["coupling", "patch"])["border_ratio"]
        masked = some[some["model"] == "MAE"].set_index(["coupling", "patch", "mask"])["border_ratio"]
        values = (masked - plain.reindex(masked.index.droplevel("mask")).to_numpy()).to_numpy()
        statistic = f"|weight| at borders over elsewhere, {where}, MAE less AE"
        yield Finding(figure, "an MAE looks at the borders of patches", statistic, values, 1, "fig04_ising")


def influence(table: pd.DataFrame) -> Iterator[Finding]:
    radius = table.groupby(["n_components", "model"])["radius_px"]
    least, most = radius.min().unstack(), radius.max().unstack()
    values = (least["MAE"] - most[["AE", "DAE"]].max(axis=1)).to_numpy()
    statistic = "mean distance, nearest MAE less farthest AE or DAE (pixels)"
    yield Finding("5", "MAEs look farther than AEs and DAEs", statistic, values, 1, "fig05_influence")
    values = (least["DAE"] - most["AE"]).to_numpy()
    statistic = "mean distance, nearest DAE less AE (pixels)"
    yield Finding("5", "DAEs look a little farther than AEs", statistic, values, 1, "fig05_influence")
    mae = table[table["model"] == "MAE"]
    by_mask, by_patch = mae.groupby(["patch", "n_components"]), mae.groupby(["mask", "n_components"])
    for paper, statistic, values, sign in (
        ("high masks look farther", "Spearman, mask and mean distance", ranks(by_mask, "mask", "radius_px"), 1),
        ("large patches look farther", "Spearman, patch and mean distance", ranks(by_patch, "patch", "radius_px"), 1),
        (
            "masks take weight off what is near",
            "Spearman, mask and share within 4 × 4 pixels",
            ranks(by_mask, "mask", "share_in_patch_4"),
            -1,
        ),
        (
            "patches take weight off what is near",
            "Spearman, patch and share within 4 × 4 pixels",
            ranks(by_patch, "patch", "share_in_patch_4"),
            -1,
        ),
    ):
        yield Finding("6", paper, statistic, values, sign, "fig05_influence")


def gabor(table: pd.DataFrame) -> Iterator[Finding]:
    for view in ("whole", "75% hidden"):
        some = table[table["view"] == view]
        gain = {s: differences(some[some["dilation"] == s], "mask", 0.9, 0.0, "r2", ["seed"]) for s in (1, 8)}
        paper = "high masks help where the task needs distant pixels"
        statistic = f"R² at dilation 8, mask 0.9 less PCA, images {view}"
        yield Finding("7", paper, statistic, gain[8], 1, "fig07_gabor", "seeds")
        statistic = f"the same less that at dilation 1, images {view}"
        yield Finding(
            "7", "the more, the farther it needs to look", statistic, gain[8] - gain[1], 1, "fig07_gabor", "seeds"
        )


def depth(table: pd.DataFrame) -> Iterator[Finding]:
    few = table[(table["model"] == "LinearMAE") & (table["n_components"] <= 4)]
    values = few.groupby(["mask", "n_components"])["gain_m"].min().to_numpy()
    statistic = "RMSE of depth, PCA less the worst patch, up to 4 features (m)"
    yield Finding("depth", "every patch beats an AE, with few features", statistic, values, 1, "depth_maps")


def basis_along_training(table: pd.DataFrame) -> Iterator[Finding]:
    last = table[table["epoch"] == table["epoch"].max()]
    first = table[table["epoch"] == table["epoch"].min()]
    keys = ["patch", "mask", "seed"]
    values = 1 - last["basis_similarity"].to_numpy()
    statistic = "1 less cosine between images' rows"
    yield Finding("8", "the basis adapts to the image", statistic, values, 1, "fig08_jacobian")
    values = (last.set_index(keys)["entropy_nats"] - first.set_index(keys)["entropy_nats"]).to_numpy()
    statistic = "entropy at the end less that early in training (nats)"
    yield Finding("8", "it starts local and spreads", statistic, values, 1, "fig08_jacobian")


def entropy(figure: str, table: pd.DataFrame) -> Iterator[Finding]:
    whole = table[table["visible"] == "none hidden"]
    patches = whole[whole["mask"] == 0.75]
    by_patch = differences(patches, "patch", patches["patch"].max(), patches["patch"].min(), "entropy_nats", ["seed"])
    statistic = "entropy, largest less smallest patch (nats)"
    yield Finding(figure, "large patches look farther", statistic, by_patch, 1, "fig08_jacobian", "seeds")
    masks = whole[whole["patch"].isin(whole[whole["mask"] == 0.5]["patch"])]
    by_mask = differences(masks, "mask", masks["mask"].max(), masks["mask"].min(), "entropy_nats", ["seed"])
    statistic = "the same, less that of the highest and lowest mask (nats)"
    yield Finding(figure, "masks matter less", statistic, by_patch - np.abs(by_mask), 1, "fig08_jacobian", "seeds")


def depths(grid: pd.DataFrame) -> Iterator[Finding]:
    script = "fig10_grids"
    some = grid[(grid["patch"] == 4) & (grid["mask"] == 0.75)]
    encoders, decoders = sorted(some["encoder_layers"].unique()), sorted(some["decoder_layers"].unique())
    others = {axis: [key for key in KEYS if key != axis] for axis in ("encoder_layers", "decoder_layers")}

    def between(axis: str, levels: list[int], value: str) -> np.ndarray:
        return differences(some, axis, levels[-1], levels[0], value, others[axis])

    cost = between("encoder_layers", encoders, "epoch_s") / (encoders[-1] - encoders[0])
    more = between("decoder_layers", decoders, "epoch_s") / (decoders[-1] - decoders[0]) - cost.mean()
    statistic = "s per epoch, a decoder layer less an encoder layer"
    yield Finding("10", "an encoder layer costs less time", statistic, more, 1, script, "bootstrap")
    for axis, levels, name in (("encoder_layers", encoders, "encoder"), ("decoder_layers", decoders, "decoder")):
        statistic = f"loss, {levels[-1]} {name} layers less {levels[0]}"
        values = between(axis, levels, "test_loss")
        yield Finding("14", f"a deeper {name} rebuilds better", statistic, values, -1, script, "bootstrap")
    statistic = f"probe after few epochs, {encoders[-1]} encoder layers less {encoders[0]}"
    values = between("encoder_layers", encoders, "probe")
    yield Finding("14", "the probe grows with the encoder", statistic, values, 1, script, "bootstrap")
    statistic = f"probe, {decoders[-1]} decoder layers less {decoders[0]}"
    values = between("decoder_layers", decoders, "probe")
    yield Finding("14", "one decoder layer suffices", statistic, values, 0, script, "bootstrap")


def masks_and_patches(grid: pd.DataFrame) -> Iterator[Finding]:
    script = "fig10_grids"
    shared = (grid["encoder_layers"] == 4) & (grid["decoder_layers"] == 1)
    groups = grid[shared].groupby(["patch", "mask"])
    means = groups[["test_loss", "probe"]].mean()
    some = means.assign(epoch_s=groups["epoch_s"].min()).reset_index()  # other work ran beside some seeds
    within = some.groupby("patch")[["test_loss", "probe", "epoch_s", "mask"]].rank()
    for paper, statistic, columns, sign in (
        ("high masks train faster", "mask and s per epoch within a patch", ["mask", "epoch_s"], -1),
        ("low masks rebuild better", "mask and loss within a patch", ["mask", "test_loss"], 1),
        ("high masks probe better", "mask and probe within a patch", ["mask", "probe"], 1),
        ("the loss does not tell the better probe", "loss and probe within a patch", ["test_loss", "probe"], 0),
    ):
        yield Finding(
            "11", paper, f"Spearman, {statistic}", within[columns].to_numpy(), sign, script, "bootstrap", rank
        )
    for paper, column, sign in (
        ("large patches train faster", "epoch_s", -1),
        ("small patches rebuild better", "test_loss", 1),
        ("small patches probe better", "probe", -1),
    ):
        values = some[["patch", column]].to_numpy()
        name = {"epoch_s": "s per epoch", "test_loss": "loss", "probe": "probe"}[column]
        yield Finding("11", paper, f"Spearman, patch and {name}", values, sign, script, "bootstrap", rank)


def fine_tuned_grid(grid: pd.DataFrame, tuned: pd.DataFrame) -> Iterator[Finding]:
    both = grid.merge(tuned[[*KEYS, "finetuned"]], on=list(KEYS))
    script = "fig10_grids --finetune"
    values = both[["probe", "finetuned"]].to_numpy()
    statistic = "Spearman, probe and fine-tuned accuracy"
    yield Finding("15", "probe and fine-tuning agree", statistic, values, 1, script, "bootstrap", rank)
    some = both[(both["patch"] == 4) & (both["mask"] == 0.75)]
    levels = sorted(some["decoder_layers"].unique())
    others = [key for key in KEYS if key != "decoder_layers"]
    values = differences(some, "decoder_layers", levels[-1], levels[0], "finetuned", others)
    statistic = f"fine-tuned accuracy, {levels[-1]} decoder layers less {levels[0]}"
    yield Finding("15", "one decoder layer suffices", statistic, values, 0, script, "bootstrap")


def along_training(table: pd.DataFrame) -> Iterator[Finding]:
    values = ranks(table.groupby(["encoder_layers", "seed"]), "epoch", "probe")
    statistic = "Spearman, epoch and probe"
    yield Finding("10", "the probe grows along training", statistic, values, 1, "fig10_grids --along")
    last = table[table["epoch"] == table["epoch"].max()]
    deep, shallow = last["encoder_layers"].max(), last["encoder_layers"].min()
    after = f"after {last['epoch'].iloc[0]} epochs, {deep} encoder layers less {shallow}"
    for column, paper, sign in (
        ("probe", "the probe grows with the encoder", 1),
        ("train_loss", "a deeper encoder rebuilds better", -1),
    ):
        values = differences(last, "encoder_layers", deep, shallow, column, ["seed"])
        yield Finding("10", paper, f"{column} {after}", values, sign, "fig10_grids --along", "seeds")


def trainable_blocks(table: pd.DataFrame) -> Iterator[Finding]:
    by = {what: rows.set_index("seed") for what, rows in table.groupby("what")}
    script = "fig12_finetune"
    values = 0.02 - (by["all"]["accuracy"] - by["last block"]["accuracy"]).to_numpy()
    statistic = "0.02 less the accuracy that is lost"
    yield Finding("12", "the last block comes within 2 points of all", statistic, values, 1, script, "seeds")
    values = (by["last block"]["epoch_s"] / by["all"]["epoch_s"]).to_numpy() - 0.6
    statistic = "time of the last block over that of all, less 0.6"
    yield Finding("12", "at nearly half the time", statistic, values, -1, script, "seeds")
    values = (by["scratch, 6 blocks"]["accuracy"] - by["scratch, 2 blocks"]["accuracy"]).to_numpy()
    statistic = "accuracy from scratch, 6 blocks less 2"
    yield Finding("12", "without pretraining, depth does not help", statistic, values, -1, script, "seeds")
    values = (by["all"]["accuracy"] - by["scratch, 6 blocks"]["accuracy"]).to_numpy()
    statistic = "accuracy, all of the pretrained less from scratch"
    yield Finding("12", "pretraining helps", statistic, values, 1, script, "seeds")


def similarity(table: pd.DataFrame) -> Iterator[Finding]:
    deepest = table["encoder_layers"].max()
    last = table[(table["layer_of_deepest"] == deepest) & (table["layer"] == table["encoder_layers"])]
    by = last[last["encoder_layers"] < deepest].set_index("seed").groupby("encoder_layers")["cka"]
    shallow, deep = (by.get_group(level) for level in sorted(by.groups)[:: len(by.groups) - 1])
    statistic = "CKA of last layers with the deepest encoder, deeper less shallower"
    paper = "deep encoders are more alike"
    yield Finding("CKA", paper, statistic, (deep - shallow).to_numpy(), 1, "appendix_d_cka", "seeds")


def linear_approximation(table: pd.DataFrame) -> Iterator[Finding]:
    table = table.assign(error=np.abs(table["linearized"] / table["true"] - 1))
    statistic = "Spearman, share blanked out and relative error"
    paper = "the approximation is for small masks"
    yield Finding("App. B", paper, statistic, ranks(table.groupby("seed"), "mask", "error"), 1, "appendix_b", "seeds")


def spectra(table: pd.DataFrame) -> Iterator[Finding]:
    values = 0.05 - table["drawn_error"].to_numpy()
    statistic = "0.05 less the error of the closed form against drawn masks"
    yield Finding("22", "a mask's spectrum is that of a patch, squared", statistic, values, 1, "fig22_spectra")


def findings(scale: Scale) -> Iterator[Finding]:
    """Of all results that are there."""
    sources: list[tuple[Callable[..., Iterator[Finding]], tuple[str, ...]]] = [
        (autocorrelation, ("fig03_autocorrelation",)),
        (ising, ("fig04_ising",)),
        (influence, ("influence",)),
        (gabor, ("fig07_gabor",)),
        (depth, ("depth",)),
        (basis_along_training, (scale.results("vit_entropy_series"),)),
        (lambda table: entropy("9", table), (scale.results("vit_entropy"),)),
        (lambda table: entropy("13", table), (scale.results("vit_entropy_64"),)),
        (depths, (scale.results("vit_grid"),)),
        (along_training, (scale.results("vit_along"),)),
        (masks_and_patches, (scale.results("vit_grid"),)),
        (trainable_blocks, (scale.results("vit_finetune"),)),
        (fine_tuned_grid, (scale.results("vit_grid"), scale.results("vit_grid_finetune"))),
        (similarity, (scale.results("cka"),)),
        (linear_approximation, (scale.results("appendix_b"),)),
        (spectra, ("fig22_spectra",)),
    ]
    for function, names in sources:
        paths = [RESULTS / f"{name}.csv" for name in names]
        if all(path.exists() for path in paths):
            yield from function(*(pd.read_csv(path) for path in paths))


def main() -> None:
    scale = SCALES[arguments(__doc__).parse_args().scale]
    rows = [finding.row() for finding in findings(scale)]
    for row in rows:
        print(f"{row['figure']:>8}  {row['verdict']:27}{row['paper']}: {row['value']} ({row['low']} to {row['high']})")
    save(scale.results("verdicts"), rows)


if __name__ == "__main__":
    main()
