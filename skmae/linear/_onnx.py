"""Linear autoencoders for skl2onnx: one product."""

from typing import Any

import numpy as np

from skmae._compat import import_optional
from skmae.linear._models import LinearAE, LinearDAE, LinearMAE


def register_onnx_converters() -> None:
    """Teach skl2onnx the transform of `LinearMAE`, `LinearDAE` and `LinearAE`, alone and in pipelines.

    ``skl2onnx.to_onnx(pipe, X[:1])`` works from then on, for images or flat rows of any real type. ONNX takes whole
    samples only: fill what is missing first.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.linear import register_onnx_converters
    >>> X = load_digits().data.astype("float32")
    >>> mae = LinearMAE(8, patch=2).fit(X)
    >>> register_onnx_converters()  # doctest: +SKIP
    >>> skl2onnx.to_onnx(mae, X[:1])  # doctest: +SKIP
    """
    update = import_optional("skl2onnx", extra="onnx", purpose="register_onnx_converters").update_registered_converter
    for model in (LinearMAE, LinearDAE, LinearAE):
        update(model, f"Skmae{model.__name__}", _shape_of_output, _convert)


def _shape_of_output(operator: Any) -> None:
    """(n, k), in the type that came in, or float32."""
    kind = type(operator.inputs[0].type)
    is_floating = kind.__name__ in ("FloatTensorType", "DoubleTensorType")
    tensors = import_optional("skl2onnx.common.data_types", extra="onnx", purpose="A converter")
    kind = kind if is_floating else tensors.FloatTensorType
    operator.outputs[0].type = kind([None, operator.raw_operator.n_components_])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """(X − mean) componentsᵀ, in float32 or float64."""
    algebra = import_optional("skl2onnx.algebra.onnx_ops", extra="onnx", purpose="A converter")
    is_double = type(operator.outputs[0].type).__name__ == "DoubleTensorType"
    dtype, number = (np.float64, 11) if is_double else (np.float32, 1)  # of ONNX's TensorProto
    version, model = container.target_opset, operator.raw_operator
    X = algebra.OnnxCast(operator.inputs[0], to=number, op_version=version)
    X = algebra.OnnxFlatten(X, axis=1, op_version=version)  # images, as rows
    centred = algebra.OnnxSub(X, model.mean_.astype(dtype), op_version=version)
    features = algebra.OnnxMatMul(
        centred, model.components_.T.astype(dtype), op_version=version, output_names=operator.outputs[:1]
    )
    features.add_to(scope, container)
