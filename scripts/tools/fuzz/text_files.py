"""Changes of text: JSON (configs, manifests), the JSON header of safetensors, vocabularies."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random
from typing import Any

from scripts.tools.fuzz import values

SAFETENSORS = "*.safetensors"
VOCABULARIES = ("vocab.txt", "*.model")
DEEP = 100_000
HUGE = 10**400


def change_json(rng: Random, folder: Path) -> str:
    """Changes a JSON file: one to three of its values, or its text."""
    path = rng.choice(sorted(folder.rglob("*.json")))
    text = path.read_text(encoding="utf-8")
    path.unlink()
    if rng.random() < 0.25:
        path.write_bytes(_other_text(rng, text))
        return f"{path.name}: text changed"
    content = json.loads(text)
    said = [_change_value(rng, content) for _ in range(rng.choice((1, 1, 2, 3)))]
    path.write_text(json.dumps(content), encoding="utf-8")
    return f"{path.name}: {'; '.join(said)}"


def change_safetensors(rng: Random, folder: Path) -> str:
    """Changes the header of a safetensors file: its values, its text, its length; or the bytes of the file."""
    path = rng.choice(sorted(folder.rglob(SAFETENSORS)))
    data = path.read_bytes()
    path.unlink()
    (length,) = struct.unpack_from("<Q", data)
    header, rest = data[8 : 8 + length], data[8 + length :]
    how = rng.random()
    if how < 0.7:
        content = json.loads(header)
        said = "; ".join(_change_value(rng, content) for _ in range(rng.choice((1, 1, 2, 3))))
        header = json.dumps(content).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + rest)
        return f"{path.name}: {said}"
    if how < 0.8:
        header = _other_text(rng, header.decode())
        path.write_bytes(struct.pack("<Q", len(header)) + header + rest)
        return f"{path.name}: text of its header"
    if how < 0.9:
        length = values.integer(rng, length) % 2**64
        path.write_bytes(struct.pack("<Q", length) + header + rest)
        return f"{path.name}: a header of {length} bytes"
    path.write_bytes(values.damaged(rng, data))
    return f"{path.name}: bytes damaged"


def change_vocabulary(rng: Random, folder: Path) -> str:
    """Changes the tokenizer's file: its tokens, their order, line ends, encoding; or its bytes."""
    path = rng.choice(sorted(path for pattern in VOCABULARIES for path in folder.rglob(pattern)))
    data = path.read_bytes()
    path.unlink()
    lines = data.split(b"\n")
    how = rng.randrange(10)
    if how == 0:
        lines = [line for line in lines if not line.startswith(b"[")]
    elif how == 1:
        lines = [line for line in lines if line != rng.choice((b"[CLS]", b"[SEP]", b"[PAD]", b"[UNK]"))]
    elif how == 2:
        lines = []
    elif how == 3:
        lines += [b"word%d" % number for number in range(rng.choice((1, 500_000)))]
    elif how == 4:
        lines = [rng.choice((b"\xff\xfe", values.name(rng).encode())), *lines]
    elif how == 5:
        lines = [line + b"\r" for line in lines]
    elif how == 6:
        rng.shuffle(lines)
    elif how == 7:
        lines = lines[: rng.randrange(len(lines))]
    elif how == 8:
        lines[rng.randrange(len(lines))] = lines[0]
    else:
        path.write_bytes(values.damaged(rng, data))
        return f"{path.name}: bytes damaged"
    path.write_bytes(b"\n".join(lines))
    return f"{path.name}: change {how} of its lines"


def _change_value(rng: Random, content: Any, path: str = "") -> str:
    """Changes a value at a random place of parsed JSON."""
    if isinstance(content, dict) and content:
        key = rng.choice(sorted(content))
        if isinstance(content[key], dict | list) and content[key] and rng.random() < 0.85:
            return _change_value(rng, content[key], f"{path}.{key}")
        how = rng.random()
        if how < 0.2:
            del content[key]
            return f"{path}.{key} removed"
        if how < 0.3:
            content[values.name(rng, key)] = content.pop(key)
            return f"{path}.{key} renamed"
        content[key] = _value(rng, content[key])
        return f"{path}.{key} = {str(content[key])[:40]!r}"
    if isinstance(content, list) and content:
        at = rng.randrange(len(content))
        if isinstance(content[at], dict | list) and content[at] and rng.random() < 0.85:
            return _change_value(rng, content[at], f"{path}[{at}]")
        if rng.random() < 0.3:
            content.insert(at, content[at])
            return f"{path}[{at}] twice"
        content[at] = _value(rng, content[at])
        return f"{path}[{at}] = {str(content[at])[:40]!r}"
    return f"{path} is empty"


def _value(rng: Random, before: Any) -> Any:
    if isinstance(before, int) and not isinstance(before, bool) and rng.random() < 0.6:
        return rng.choice((values.integer(rng, before), 10**30, float(before), -before))
    return rng.choice(
        (
            None,
            True,
            values.integer(rng),
            values.number(rng),
            values.name(rng),
            [],
            {},
            [before],
            {"a": before},
            str(before),
        )
    )


def _other_text(rng: Random, text: str) -> bytes:
    how = rng.randrange(9)
    if how == 0:
        return b"[" * DEEP
    if how == 1:
        return b'{"a":' * DEEP + b"1" + b"}" * DEEP
    if how == 2:
        return str(HUGE).encode()
    if how == 3:
        return text.replace(": 1", f": {HUGE}", 1).encode()
    if how == 4:
        return ("\ufeff" + text).encode()
    if how == 5:
        return text.encode("utf-16")
    if how == 6:
        return rng.choice((b"", b"null", b"[]", b'"text"', b"1", b"NaN", b"\xff", b"{}"))
    if how == 7:
        return text.encode().rstrip()[:-1] + rng.choice(
            (b',"a":NaN}', b',"a":"\\ud800"}', b',"' + b"k" * 10**6 + b'":1}')
        )
    return values.damaged(rng, text.encode())
