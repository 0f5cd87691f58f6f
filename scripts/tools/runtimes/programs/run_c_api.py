"""An export in a C program without Python: `c_client`, compiled against TensorFlow's own library."""

import importlib.metadata

import numpy as np

from scripts.tools.runtimes.c_client import compile_client, run_client
from scripts.tools.runtimes.programs.exchange import (
    Arrays,
    CannotLoad,
    Opened,
    Request,
    Signature,
    answer,
    answer_folder,
    in_chunks,
)

OUTPUTS_AT_ONCE = 48
"""The client has room for 64 tensors in all."""


def main() -> None:
    """Compiles the client, and answers the request with it."""
    client = compile_client(answer_folder())

    def open_signature(request: Request, signature: Signature) -> Opened:
        if client is None:
            raise CannotLoad("needs a C compiler: none of cc, gcc and clang is on PATH")

        def run(inputs: Arrays) -> Arrays:
            found: dict[str, np.ndarray] = {}
            # The client feeds int32 only. A text export gets no feeds: whether it loads comes first.
            feeds = {signature.inputs[key]: value for key, value in inputs.items() if value.dtype.kind == "i"}
            for keys in in_chunks(list(signature.outputs), OUTPUTS_AT_ONCE):
                fetches = {key: signature.outputs[key] for key in keys}
                found |= run_client(client, request.export, feeds, fetches)
            return found

        return Opened(run=run)

    answer(open_signature, f"TensorFlow {importlib.metadata.version('tensorflow')}")


if __name__ == "__main__":
    main()
