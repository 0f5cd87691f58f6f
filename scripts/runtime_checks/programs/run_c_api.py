"""An export in a C program without Python: tests/serving_client, compiled against TensorFlow's own library."""

import importlib.metadata
import sys
import tempfile
from pathlib import Path

from exchange import Arrays, CannotLoad, Opened, Request, Signature, answer, in_chunks

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.serving_client import compile_client, run_client

OUTPUTS_AT_ONCE = 48
"""The client has room for 64 tensors in all."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = compile_client(folder)

        def open_signature(request: Request, signature: Signature) -> Opened:
            if client is None:
                raise CannotLoad("needs a C compiler: none of cc, gcc and clang is on PATH")

            def run(inputs: Arrays) -> Arrays:
                found = {}
                # The client feeds int32 only. A text export gets no feeds: whether it loads comes first.
                feeds = {signature.inputs[key]: value for key, value in inputs.items() if value.dtype.kind == "i"}
                for keys in in_chunks(list(signature.outputs), OUTPUTS_AT_ONCE):
                    fetches = {key: signature.outputs[key] for key in keys}
                    found |= run_client(client, request.export, feeds, fetches)
                return found

            return Opened(run)

        answer(open_signature, f"TensorFlow {importlib.metadata.version('tensorflow')}")


if __name__ == "__main__":
    main()
