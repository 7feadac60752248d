"""A model behind HTTP: send a picture, get its label and the filled picture.

    pip install fastapi uvicorn
    python examples/serve.py train pictures/ model.joblib
    python examples/serve.py run model.joblib
    curl --data-binary @photo.png http://127.0.0.1:8000/predict

``train`` takes a folder of pictures, with a subfolder for each class. ``run`` loads the
model, and loading runs code: run only models that you wrote yourself. A picture may be
transparent where something is missing. The answer is JSON: ``label``, ``probability``,
and ``filled``, a PNG in base64.
"""

import argparse
import base64
import io

import joblib
import numpy as np
from PIL import Image

SIZE = 32


def train(folder, path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skmae import LinearMAE, LocalTokens, PatchImputer
    from skmae.datasets import load_image_folder

    pictures = load_image_folder(folder, SIZE)
    pipe = make_pipeline(
        PatchImputer(LinearMAE(patch=4)),
        LocalTokens(48, random_state=0),
        LinearMAE(32, mask=0.9, patch=1, channel_axis=-1),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    pipe.fit(pictures.images, pictures.target)
    joblib.dump({"pipe": pipe, "names": pictures.target_names}, path)


def as_png(image):
    png = io.BytesIO()
    Image.fromarray(image.round().clip(0, 255).astype(np.uint8)).save(png, "png")
    return base64.b64encode(png.getvalue()).decode()


def make_app(path):
    from fastapi import FastAPI, HTTPException, Request

    from skmae.datasets import load_image

    model = joblib.load(path)
    pipe, names = model["pipe"], model["names"]
    app = FastAPI(title="skmae")

    @app.post("/predict")
    async def predict(request: Request):
        try:
            body = io.BytesIO(await request.body())
            image = load_image(body, SIZE, transparent="nan")
        except ValueError as error:
            message = (
                "The body is no picture. Send the bytes of a PNG, JPEG or the like."
            )
            raise HTTPException(415, message) from error
        filled = pipe[0].transform(image[np.newaxis])
        probabilities = pipe[1:].predict_proba(filled)[0]
        best = int(probabilities.argmax())
        return {
            "label": names[best],
            "probability": float(probabilities[best]),
            "filled": as_png(filled[0]),
        }

    return app


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in {"train": ("folder", "model"), "run": ("model",)}.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
    commands.choices["run"].add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if options.command == "train":
        train(options.folder, options.model)
        return
    import uvicorn

    uvicorn.run(make_app(options.model), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
