"""Appendix D: CKA between the layers of ViTMAEs whose encoders differ in depth, with the scale's deepest decoder.

The models are those of the depth grid (fig10_grids.py). 2,000 test images. Writes cka.csv: a row per pair of layers, of
the deepest encoder and another.
"""

from benchmarks._provenance import save
from benchmarks.paper._scale import SCALES, arguments, vit
from skmae.datasets import fetch_cifar10
from skmae.inspection import linear_cka

SAMPLES = 2000


def main() -> None:
    options = arguments(__doc__, deep=True).parse_args()
    scale = SCALES[options.scale]
    train, test = fetch_cifar10().images[: scale.images], fetch_cifar10(subset="test").images[:SAMPLES]
    rows = []
    for seed in options.seeds:
        features = {}
        for depth in scale.encoders:
            sizes = {"encoder_layers": depth, "decoder_layers": scale.decoders[-1], "normalize_target": True}
            sizes |= {"patch": 4, "max_epochs": options.epochs or scale.epochs}
            features[depth] = vit(scale, options.models, seed, **sizes).fit(train).layer_features(test)
        deepest = scale.encoders[-1]
        for depth, own in features.items():
            for i in range(deepest + 1):
                for j in range(depth + 1):
                    key = {"seed": seed, "encoder_layers": depth, "layer": j, "layer_of_deepest": i}
                    rows.append({**key, "cka": round(linear_cka(features[deepest][:, i], own[:, j]), 4)})
    save(scale.results("cka"), rows)


if __name__ == "__main__":
    main()
