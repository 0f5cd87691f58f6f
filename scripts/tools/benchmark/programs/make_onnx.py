"""make_onnx.py FOLDER FILE: convert `serving_default` of a SavedModel to ONNX with tf2onnx's own command."""

import sys
from pathlib import Path
from unittest import mock

OPSET = "17"


def convert(folder: str, file: Path) -> None:
    """Write the model; the file appears when it is complete."""
    import tf2onnx.convert

    staged = file.with_name(f"{file.name}.partial")
    options = {"--saved-model": folder, "--signature_def": "serving_default", "--opset": OPSET, "--output": str(staged)}
    command = ["tf2onnx", *(word for option in options.items() for word in option)]
    with mock.patch.object(sys, "argv", command):
        tf2onnx.convert.main()
    staged.rename(file)


if __name__ == "__main__":
    convert(sys.argv[1], Path(sys.argv[2]))
