"""The table of what the inference benchmark compares: each side is a signature of a model in a runtime."""

import dataclasses

SOURCE, SOURCE_AGAIN, MATMULS = "source", "source again", "its matrix products alone"
FUSED, MODEL_GARDEN, POOLED, MEAN = (
    "surgery, fused",
    "surgery, model_garden",
    "surgery, fused, pooled_output only",
    "surgery, fused, mean of tokens only",
)
TORCH, OPENVINO, ONNX = "transformers on torch", "OpenVINO, f32", "ONNX Runtime"
HAND_WRITTEN = "hand-written export"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """A side of the comparison.

    Attributes:
        name: Its name in the tables.
        model: The model that it runs, a key of `models.MODELS`. Sides with the same model share its process.
        signature: The model's function.
        about: What it is, for the legend.
        is_checked: Whether its outputs have names by which they are compared with the source's before it is timed.
    """

    name: str
    model: str
    signature: str = "serving_default"
    about: str
    is_checked: bool = True


SIDES = (
    Side(name=SOURCE, model="source", about="the module's own signature in TensorFlow", is_checked=False),
    Side(
        name=SOURCE_AGAIN,
        model="source again",
        about="the same in a second process: the noise floor",
        is_checked=False,
    ),
    Side(name=HAND_WRITTEN, model="hand-written", about="naive_convert.py's export in TensorFlow"),
    Side(name=MODEL_GARDEN, model="model_garden", about="`surgery convert --graph model_garden` in TensorFlow"),
    Side(name=FUSED, model="fused", about="`surgery convert --graph fused`, the default, in TensorFlow"),
    Side(
        name=POOLED,
        model="fused",
        signature="pooled",
        about="its signature `pooled`, which runs without padding",
    ),
    Side(
        name=MEAN,
        model="fused",
        signature="mean",
        about="its signature `mean`, the feature `mean=mean@-1/mean`, which runs without padding",
    ),
    Side(name=TORCH, model="torch", about="BertModel with the source's weights, float32, sdpa attention"),
    Side(name=OPENVINO, model="openvino", about="the hand-written export in OpenVINO, f32 hint"),
    Side(name=ONNX, model="onnx", about="the hand-written export in ONNX Runtime, through tf2onnx"),
    Side(
        name=MATMULS,
        model="matmuls",
        about="the source's matrix products in TensorFlow, of all positions, and nothing else",
        is_checked=False,
    ),
)
