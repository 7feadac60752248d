"""What the paper says of ViTs.

Results of one seed are alike, and so are those of one patch: three patches are not 18 settings. Comparisons are paired
by seed, or by mask, or take the patch as the unit.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.paper._findings import (
    POINTS,
    Estimate,
    Finding,
    differences,
    each,
    mean_by,
    mean_of,
    resampled,
    spearman,
    spearmans,
)
from benchmarks.paper.fig10_grids import KEYS

LONGER = "longer trainings: the paper's have 2000 epochs"


def basis_along_training(table: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "8", script="fig08_jacobian")
    by = table.set_index(["patch", "mask", "seed", "epoch"])["entropy_nats"].unstack()
    first, last = by.columns[0], by.columns[-1]
    adapts = 1 - table.loc[table["epoch"] == last, "basis_similarity"]
    statistic = "1 less cosine between images' rows; 0 is a linear model"
    yield finding("the basis adapts to the image", statistic, each(adapts, "runs"), 1)
    small = by.index.get_level_values("patch") == 2
    for where, rows in (("patches of 4 and 8", by[~small]), ("patches of 2", by[small])):
        statistic = f"entropy after {last} epochs less that after {first} (nats), {where}"
        values = each(rows[last] - rows[first], "runs")
        yield finding(f"it starts local and spreads: {where}", statistic, values, 1, needs=LONGER)
    statistic = f"entropy after {last} epochs less that after 12 (nats), patches of 2"
    values = each(by[last][small] - by[12][small], "runs")
    yield finding("it spreads, after a fall: patches of 2", statistic, values, 1)


def entropy(figure: str, table: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, figure, script="fig08_jacobian")
    whole = table[table["visible"] == "none hidden"]
    patches = whole[whole["mask"] == 0.75]
    by_patch = differences(patches, "patch", patches["patch"].max(), patches["patch"].min(), "entropy_nats", ["seed"])
    statistic = "entropy, largest less smallest patch (nats)"
    yield finding("large patches look farther", statistic, mean_of(by_patch, "seeds"), 1)
    masks = whole[whole["patch"].isin(whole[whole["mask"] == 0.5]["patch"])]
    by_mask = differences(masks, "mask", masks["mask"].max(), masks["mask"].min(), "entropy_nats", ["seed"])
    statistic = "the same, less that of the highest and lowest mask (nats)"
    yield finding("masks matter less", statistic, mean_of(by_patch - by_mask.abs(), "seeds"), 1)


def depths(grid: pd.DataFrame) -> Iterator[Finding]:
    some = grid[(grid["patch"] == 4) & (grid["mask"] == 0.75)]
    levels = {axis: sorted(some[axis].unique()) for axis in ("encoder_layers", "decoder_layers")}

    def deeper(axis: str, value: str, high: int) -> pd.Series:
        """Than the shallowest."""
        return differences(some, axis, high, levels[axis][0], value, [key for key in KEYS if key != axis])

    yield time_of_a_layer(deeper, levels)
    yield from losses_and_probes_of_depths(deeper, levels)


def time_of_a_layer(deeper: Callable[..., pd.Series], levels: dict[str, list[int]]) -> Finding:
    encoder, decoder = (
        deeper(axis, "epoch_s", depths[-1]).groupby(level="seed").mean() / (depths[-1] - depths[0])
        for axis, depths in levels.items()
    )
    statistic = "s per epoch, a decoder layer less an encoder layer"
    values = mean_of(decoder - encoder, "seeds")
    return Finding("10", "an encoder layer costs less time", statistic, values, 1, "fig10_grids")


def losses_and_probes_of_depths(deeper: Callable[..., pd.Series], levels: dict[str, list[int]]) -> Iterator[Finding]:
    finding = partial(Finding, "14", script="fig10_grids")
    by_seed = partial(mean_by, cluster="seed", of="seeds")
    longer = {"needs": "30 epochs and 3 seeds: Fig. 10 here", "is_too_small": True}
    for axis, (least, *_, most) in levels.items():
        name = axis.removesuffix("_layers")
        statistic = f"loss after 10 epochs, {most} {name} layers less {least}"
        values = by_seed(deeper(axis, "test_loss", most))
        yield finding(f"a deeper {name} rebuilds better", statistic, values, -1, **longer)
    least, *_, most = levels["encoder_layers"]
    statistic = f"probe after 10 epochs, {most} encoder layers less {least}"
    values = by_seed(deeper("encoder_layers", "probe", most))
    yield finding("the probe grows with the encoder", statistic, values, 1, margin=POINTS, **longer)
    least, *more = levels["decoder_layers"]
    for level in more:
        statistic = f"probe after 10 epochs, {level} decoder layers less {least}"
        values = by_seed(deeper("decoder_layers", "probe", level))
        yield finding("one decoder layer suffices", statistic, values, 0, margin=POINTS)


def along_training(table: pd.DataFrame, control: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "10", script="fig10_grids --along")
    runs = table.groupby(["encoder_layers", "seed"])
    values = each(spearmans(runs, "epoch", "probe"), "runs")
    yield finding("the probe grows along training", "Spearman, epoch and probe", values, 1)
    values = each(spearmans(runs, "train_loss", "probe"), "runs")
    yield finding(
        "the loss does not tell the better probe: along training", "Spearman, loss and probe", values, 1, needs=LONGER
    )
    last = table[table["epoch"] == table["epoch"].max()]
    epochs, keys = last["epoch"].iloc[0], ["encoder_layers", "seed"]
    untrained = control[control["patch"] == 4].set_index(keys)["probe"]
    gain = (last.set_index(keys)["probe"] - untrained).dropna()
    statistic = f"probe after {epochs} epochs less that of the same network untrained"
    yield finding("control: training helps", statistic, each(gain, "runs"), 1)
    deep, shallow = last["encoder_layers"].max(), last["encoder_layers"].min()
    for column, claim, sign in (
        ("probe", "the probe grows with the encoder", 1),
        ("train_loss", "a deeper encoder rebuilds better", -1),
    ):
        statistic = f"{column.replace('_', ' ')} after {epochs} epochs, {deep} encoder layers less {shallow}"
        values = mean_of(differences(last, "encoder_layers", deep, shallow, column, ["seed"]), "seeds")
        yield finding(claim, statistic, values, sign)


def shared_depth(grid: pd.DataFrame) -> pd.DataFrame:
    """The masks and patches, of which all have the same depth."""
    return grid[(grid["encoder_layers"] == 4) & (grid["decoder_layers"] == 1)]


def mean_of_seeds(some: pd.DataFrame) -> pd.DataFrame:
    """By mask and patch; the time of the fastest, since other work ran beside some."""
    groups = some.groupby(["patch", "mask"])
    return groups[["test_loss", "probe"]].mean().assign(epoch_s=groups["epoch_s"].min()).reset_index()


def masks_and_patches(grid: pd.DataFrame) -> Iterator[Finding]:
    runs = shared_depth(grid)
    some = mean_of_seeds(runs)
    yield from times(some)
    yield from by_patch(some)
    yield from by_mask(runs)


def times(some: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "11", script="fig10_grids")
    time = some.pivot(index="mask", columns="patch", values="epoch_s")
    statistic = "s per epoch, mask 0.9 over 0.1 (the paper: 0.4)"
    yield finding("high masks train faster", statistic, each(time.loc[0.9] / time.loc[0.1], "patches"), -1, than=1)
    statistic = "s per epoch, patch 8 over patch 2, paired by mask"
    yield finding("large patches train faster", statistic, each(time[8] / time[2], "masks"), -1, than=1)


def by_patch(some: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "11", script="fig10_grids")
    for low, high in ((2, 4), (4, 8)):
        paired = f"patch {high} less patch {low}, paired by mask"
        loss, probe = (
            mean_of(differences(some, "patch", high, low, value, ["mask"]), "masks") for value in ("test_loss", "probe")
        )
        yield finding("small patches rebuild better", f"loss, {paired}", loss, 1)
        yield finding("small patches probe better", f"probe, {paired}", probe, -1, margin=POINTS)


def by_mask(runs: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "11", script="fig10_grids")
    between = partial(differences, runs, "mask", others=["patch", "seed"])
    by_seed = partial(mean_by, cluster="seed", of="seeds")
    loss = by_seed(between(0.9, 0.1, "test_loss"))
    yield finding("low masks rebuild better", "loss, mask 0.9 less 0.1, mean of patches", loss, 1)
    for high, low in ((0.75, 0.1), (0.75, 0.5), (0.9, 0.75)):
        statistic = f"probe, mask {high} less {low}, mean of patches"
        probe = by_seed(between(high, low, "probe"))
        yield finding("high masks probe better", statistic, probe, 1, margin=POINTS)


def loss_and_probe(grid: pd.DataFrame) -> Iterator[Finding]:
    """A lower loss goes with a better probe where their correlation is negative."""
    finding = partial(Finding, "11", script="fig10_grids")
    runs, columns = shared_depth(grid), ["test_loss", "probe"]
    some, deep = mean_of_seeds(runs), grid[(grid["patch"] == 4) & (grid["mask"] == 0.75)]
    claim, statistic = "the loss does not tell the better probe", "Spearman, loss and probe"
    values = mean_of(spearmans(some.groupby("mask"), *columns), "masks")
    yield finding(f"{claim}: between patches", f"{statistic}, of 3 patches at each mask", values, 1)
    values = runs.groupby(["patch", "seed"])[columns].apply(spearman)
    values = mean_by(values, "seed", "seeds")
    yield finding(f"{claim}: between masks", f"{statistic}, of 6 masks of each patch, mean of patches", values, 1)
    values = mean_of(spearmans(deep.groupby("seed"), *columns), "seeds")
    yield finding(f"{claim}: between depths", f"{statistic}, of 9 depths", values, 1)
    everywhere = resampled(some[columns], some["patch"], "patches, of 6 masks each")
    yield finding(f"{claim}: of all settings", f"{statistic}, of 18 masks and patches", everywhere, 1)


def controls(grid: pd.DataFrame, control: pd.DataFrame) -> Iterator[Finding]:
    """What pretraining adds to the probe of the same network with fresh weights."""
    finding = partial(Finding, "11", script="fig10_grids --control")
    keys = ["patch", "encoder_layers", "seed"]
    some = grid[(grid["mask"] == 0.75) & (grid["decoder_layers"] == 1)].set_index(keys)["probe"]
    gain = (some - control.set_index(keys)["probe"]).dropna().reset_index()
    for (patch, layers), rows in gain.groupby(["patch", "encoder_layers"]):
        statistic = f"probe after 10 epochs less untrained, patch {patch}, {layers} encoder layers, mask 0.75"
        yield finding("control: training helps", statistic, mean_of(rows["probe"], "seeds"), 1, margin=POINTS)


def fine_tuned_grid(grid: pd.DataFrame, tuned: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "15", script="fig10_grids --finetune")
    both = grid.merge(tuned[[*KEYS, "finetuned"]], on=list(KEYS))
    columns = ["probe", "finetuned"]
    statistic = f"Spearman, probe and fine-tuned accuracy, of {len(both)} settings, one seed"
    values = resampled(both[columns], both["patch"], "patches")
    yield finding("probe and fine-tuning agree", statistic, values, 1)
    within = both.groupby("patch")[columns].rank(pct=True)
    values = resampled(within, pd.Series(np.arange(len(both))), "settings, one seed")
    statistic = "the same, of their ranks within a patch"
    yield finding("probe and fine-tuning agree: at one patch", statistic, values, 1)
    some = both[(both["patch"] == 4) & (both["mask"] == 0.75)]
    levels = sorted(some["decoder_layers"].unique())
    others = [key for key in KEYS if key != "decoder_layers"]
    for level in levels[1:]:
        values = differences(some, "decoder_layers", level, levels[0], "finetuned", others)
        statistic = f"fine-tuned accuracy, {level} decoder layers less {levels[0]}"
        estimate = mean_of(values, "encoders, one seed")
        yield finding("one decoder layer suffices", statistic, estimate, 0, margin=POINTS)


def trainable_blocks(table: pd.DataFrame, memory: pd.DataFrame) -> Iterator[Finding]:
    finding = partial(Finding, "12", script="fig12_finetune")
    by = {what: rows.set_index("seed") for what, rows in table.groupby("what")}
    of_seeds = partial(mean_of, of="seeds")
    lost = by["all"]["accuracy"] - by["last block"]["accuracy"]
    claim, statistic = "the last block comes within 2 points of all", "accuracy, all less the last block"
    needs = "a longer pretraining than 20 epochs, which leaves the frozen blocks little to offer"
    yield finding(claim, statistic, of_seeds(lost), -1, than=0.02, needs=needs, is_too_small=True)
    time = by["last block"]["epoch_s"] / by["all"]["epoch_s"]
    yield finding("at nearly half the time", "time of the last block over that of all", of_seeds(time), -1, than=0.6)
    mib = memory.set_index("what")["memory_mib"]
    share = each([mib["last block"] / mib["all"]], "measurement, on a CPU")
    yield Finding(
        "12",
        "with less memory",
        "memory of the last block over that of all",
        share,
        -1,
        "fig12_finetune --memory",
        than=1,
    )
    deeper = by["scratch, 6 blocks"]["accuracy"] - by["scratch, 2 blocks"]["accuracy"]
    claim, statistic = "without pretraining, depth does not matter", "accuracy from scratch, 6 blocks less 2"
    yield finding(claim, statistic, of_seeds(deeper), 0, margin=POINTS)
    gain = by["all"]["accuracy"] - by["scratch, 6 blocks"]["accuracy"]
    yield finding("pretraining helps", "accuracy, all of the pretrained less from scratch", of_seeds(gain), 1)


def similarity(table: pd.DataFrame) -> Iterator[Finding]:
    deepest = table["encoder_layers"].max()
    last = table[(table["layer_of_deepest"] == deepest) & (table["layer"] == table["encoder_layers"])]
    levels = sorted(set(last["encoder_layers"]) - {deepest})
    values = differences(last, "encoder_layers", levels[-1], levels[0], "cka", ["seed"])
    statistic = "CKA of last layers with the deepest encoder, deeper less shallower"
    yield Finding("CKA", "deep encoders are more alike", statistic, mean_of(values, "seeds"), 1, "appendix_d_cka")


def linear_approximation(table: pd.DataFrame) -> Iterator[Finding]:
    """The error over what masks add to the loss, which vanishes with the mask as the error does."""
    finding = partial(Finding, "App. B", script="appendix_b")
    added = table["true"] - table["at_mean_mask"]
    table = table.assign(error=((table["linearized"] - table["true"]) / added).abs())
    values = each(table.loc[table["mask"] == 0.05, "error"], "seeds")
    statistic = "error over what masks add to the loss, 5 % blanked out"
    yield finding("the approximation is good for small masks", statistic, values, -1, than=0.1)
    values = mean_of(differences(table, "mask", 0.75, 0.05, "error", ["seed"]), "seeds")
    yield finding("it is better for small masks", "the same, 75 % blanked out less 5 %", values, 1)


def higher_orders(table: pd.DataFrame) -> Iterator[Finding]:
    own = table[table["model"].str.startswith("ViTMAE")].iloc[0]
    estimate = Estimate(own["gain"], own["gain_low"], own["gain_high"], "bootstrap", int(own["images"]), "test images")
    statistic = f"R² of hidden pixels, a ViT of {own['epochs']:.0f} epochs less the best linear map for each mask"
    claim = "ViTs use more than second-order correlations"
    yield Finding("Sec. 3", claim, statistic, estimate, 1, "higher_orders", needs=LONGER, is_too_small=True)
