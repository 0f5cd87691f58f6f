"""Hugging Face checkpoints: `config.json` with `model.safetensors`, which the safetensors library reads.

The config, and the code of the transformers library that reads it, define the function that the weights belong to.
`pytorch_model.bin` is refused: it is a pickle, and opening a pickle runs the code in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery import limits
from surgery.errors import ModuleError
from surgery.formats.text_files import read_json
from surgery.module import Config, InspectedModule, VariableInfo
from surgery.sources import common
from surgery.sources.files import Files
from surgery.sources.tf1_checkpoint import vocabularies

if TYPE_CHECKING:
    import numpy as np

KNOWN_BY = "config.json"
WEIGHTS = "model.safetensors"
EXPECTED = f"Hugging Face checkpoint ({KNOWN_BY} with {WEIGHTS})"
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")
SHARDS = f"{WEIGHTS}.index.json"
TOKENIZER = "tokenizer_config.json"
MOVED_PIECES = "sentencepiece.bpe.model"
"""The SentencePiece model of a tokenizer that gives other ids to the pieces, as the tokenizer's class says."""
MOVED = dict.fromkeys(("XLMRobertaTokenizer", "xlm-roberta"), "xlm_roberta_sp_model_file")
"""The attribute under which an export keeps it, by the tokenizer's class, or by the model for which AutoTokenizer takes
that class."""
BYTE_PAIRS = {"bpe_vocab_file": "vocab.json", "bpe_merges_file": "merges.txt"}
"""The files of a byte-level BPE, by their attributes."""
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""TensorFlow's dtype names, by safetensors' names."""


def accepts(files: Files) -> bool:
    """True for a folder with a `config.json` or any safetensors file."""
    return bool(files.glob(KNOWN_BY, "*.safetensors"))


def inspect(files: Files) -> InspectedModule:
    """Lists the tensors from the header of the safetensors file.

    Raises ModuleError for a pickle, for weights in several files, and for missing or damaged files.
    """
    weights = _weights(files)
    if not files.path(KNOWN_BY).is_file():
        raise ModuleError(
            f"opening {files.folder}: expected {KNOWN_BY} beside {WEIGHTS}, found none",
            hint="the weights do not show their head count, activation or epsilon: fetch config.json too",
        )
    config = common.read_config(files.path(KNOWN_BY))
    _check_header(weights)
    with _Opened(weights) as opened:
        names = sorted(opened.keys())
        limits.check("variables", len(names), f"reading {weights}")
        variables = tuple(_variable(name, opened.get_slice(name)) for name in names)
    return InspectedModule(
        name=files.name,
        folder=str(files.folder),
        format="Hugging Face checkpoint",
        variables=variables,
        assets=tokenizer_files(files, config),
        constants=tokenizer_constants(files),
        fingerprint=common.fingerprint(files.folder, KNOWN_BY, WEIGHTS),
        saved_model_bytes=0,
        config=config,
        open_tensors=partial(SafeTensors, weights),
    )


def _check_header(path: Path) -> None:
    """Raises LimitError for a header that is too large. The library reads whole headers of up to 100 MB."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length <= path.stat().st_size:
        limits.check("text_bytes", length, f"reading the header of {path}")


class SafeTensors:
    """The tensors of a `model.safetensors`. Each one is read from the file when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, variables: Iterable[VariableInfo]) -> None:
        """Does nothing: the list of variables and the values come from one header, which the library checks whole."""

    def read(self, variable: VariableInfo) -> np.ndarray:
        """The value of a variable, in the shape in which the checkpoint stores it."""
        import numpy as np

        with _Opened(self._path) as opened:
            return np.asarray(opened.get_tensor(variable.name))


class _Opened:
    """Context manager: an open safetensors file. Raises ModuleError where the library refuses the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            return safe_open(self._path, framework="numpy")
        except (SafetensorError, OSError, ValueError) as error:
            raise ModuleError(
                f"reading {self._path}: {error}", hint="the file is truncated or damaged: fetch the checkpoint again"
            ) from error

    def __exit__(self, *_: object) -> None:
        """Does nothing: the library unmaps the file when the last reference to it is gone."""


def _weights(files: Files) -> Path:
    path = files.path(WEIGHTS)
    if path.is_file():
        return path
    if (files.folder / SHARDS).is_file():
        raise ModuleError(
            f"opening {files.folder}: its weights are spread over several files, as {SHARDS} lists",
            hint=f"write one {WEIGHTS}: save_pretrained(folder, max_shard_size='10GB')",
        )
    if pickles := files.glob(*PICKLES):
        raise ModuleError(
            f"opening {files.folder}: {pickles[0].name} is a pickle: opening it would run whatever code it holds",
            hint=f"get {WEIGHTS} of the same model, or write one where you trust the pickle: "
            "save_pretrained(folder, safe_serialization=True)",
        )
    others = files.glob("*.safetensors*", "*.h5", "*.msgpack")
    raise ModuleError(
        f"opening {files.folder}: expected {WEIGHTS} beside {KNOWN_BY}, found "
        + (", ".join(path.name for path in others) or "no weights"),
        hint=f"surgery reads Hugging Face checkpoints from one {WEIGHTS}, and models in TensorFlow from a SavedModel: "
        "save_pretrained(folder, saved_model=True), with transformers up to 4.57",
    )


def _variable(name: str, part: Any) -> VariableInfo:
    shape = tuple(part.get_shape())
    dtype = DTYPES.get(part.get_dtype(), part.get_dtype())
    size = common.size_in_bytes(dtype, shape)
    return VariableInfo(name=name, dtype=dtype, shape=shape, trainable="float" in dtype, nbytes=size)


def tokenizer_files(files: Files, config: Config) -> dict[str, str]:
    """The tokenizer's files, relative to the folder, by the attribute under which an export keeps them."""
    if files.glob(MOVED_PIECES):
        named = _tokenizer_config(files.path(TOKENIZER)).get("tokenizer_class") or config.values.get("model_type")
        return {MOVED.get(str(named).removesuffix("Fast"), "fairseq_sp_model_file"): MOVED_PIECES}
    found = vocabularies(files)
    if not found and all(files.glob(name) for name in BYTE_PAIRS.values()):
        return dict(BYTE_PAIRS) | ({"tokenizer_config_file": TOKENIZER} if files.glob(TOKENIZER) else {})
    return found


def tokenizer_constants(files: Files) -> dict[str, Any]:
    """`do_lower_case`, if the tokenizer's configuration states it; else no constant."""
    lower = _tokenizer_config(files.path(TOKENIZER)).get("do_lower_case")
    if not isinstance(lower, bool):
        return {}
    import numpy as np

    return {"do_lower_case": np.asarray(lower)}


def _tokenizer_config(path: Path) -> dict[str, Any]:
    """The tokenizer's configuration; empty where there is none that can be read."""
    try:
        config = read_json(path)
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
