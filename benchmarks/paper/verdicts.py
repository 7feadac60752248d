"""What the paper found, against the results that are there: a statistic each, its interval, a verdict.

`interval` says what low and high are: "t" a 95 % interval of a mean of n results, "bootstrap" one over n that were
drawn anew, "range" the least and the greatest of n that are counted, each by itself. Where the verdict is that this
size does not decide, `decided_by` says what would. Writes verdicts.csv.
"""

from collections.abc import Callable, Iterator

import pandas as pd

from benchmarks._provenance import RESULTS, save
from benchmarks.paper import _claims_linear as linear
from benchmarks.paper import _claims_vit as deep
from benchmarks.paper._findings import Finding
from benchmarks.paper._scale import SCALES, Scale, arguments


def findings(scale: Scale) -> Iterator[Finding]:
    """Of all results that are there."""
    grid, control = scale.results("vit_grid"), scale.results("vit_grid_control")
    sources: list[tuple[Callable[..., Iterator[Finding]], tuple[str, ...]]] = [
        (linear.autocorrelation, ("fig03_autocorrelation",)),
        (linear.ising, ("fig04_ising",)),
        (linear.sinusoids, ("fig04_sinusoids",)),
        (linear.influence, ("influence",)),
        (linear.gabor, ("fig07_gabor",)),
        (linear.gabor_scan, ("fig07_scan",)),
        (linear.depth, ("depth",)),
        (deep.higher_orders, (scale.results("higher_orders"),)),
        (deep.basis_along_training, (scale.results("vit_entropy_series"),)),
        (lambda table: deep.entropy("9", table), (scale.results("vit_entropy"),)),
        (lambda table: deep.entropy("13", table), (scale.results("vit_entropy_64"),)),
        (deep.depths, (grid,)),
        (deep.along_training, (scale.results("vit_along"), control)),
        (deep.masks_and_patches, (grid,)),
        (deep.loss_and_probe, (grid,)),
        (deep.controls, (grid, control)),
        (deep.trainable_blocks, (scale.results("vit_finetune"), scale.results("vit_finetune_memory"))),
        (deep.fine_tuned_grid, (grid, scale.results("vit_grid_finetune"))),
        (deep.similarity, (scale.results("cka"),)),
        (deep.linear_approximation, (scale.results("appendix_b"),)),
        (linear.spectra, ("fig22_spectra",)),
    ]
    for function, names in sources:
        paths = [RESULTS / f"{name}.csv" for name in names]
        if all(path.exists() for path in paths):
            yield from function(*(pd.read_csv(path) for path in paths))


def main() -> None:
    scale = SCALES[arguments(__doc__).parse_args().scale]
    rows = [finding.row() for finding in findings(scale)]
    for row in rows:
        print(f"{row['figure']:>8}  {row['verdict']:27}{row['claim']}: {row['value']} ({row['low']} to {row['high']})")
    save(scale.results("verdicts"), rows)


if __name__ == "__main__":
    main()
