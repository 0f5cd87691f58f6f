"""Advice for serving an export: replies that are too large, batching, folders, operations."""

from __future__ import annotations

from surgery.tfserving.served import Served, ServedSignature, fewest
from surgery.tfserving.text_operations import ROUND_ROBIN
from surgery.wording import size


def notes(served: Served) -> tuple[str, ...]:
    """Notes about the whole export, a sentence or two each."""
    return (*_folder(served), *_text(served), *_batching(served))


def advice(served: Served, signature: ServedSignature) -> tuple[str, ...]:
    """What to do about a reply that is over gRPC's default limit; empty where it fits."""
    reply = signature.reply
    if reply.fits:
        return ()
    lines = [
        f"raise the client's limit: the channel option grpc.max_receive_message_length to {reply.total} or more, as "
        "client.py does. No flag of the server helps: it sends any size, and takes requests of up to 2 GiB"
    ]
    small = fewest(signature)
    if len(signature.signature.outputs) > 1 and small is not None:
        tensor, alone = small
        lines.append(f"ask for fewer outputs: output_filter in a gRPC request; {tensor.key} alone is {size(alone)}")
    if reply.largest_batch is not None:
        most = reply.largest_batch
        lines.append(
            f"send smaller batches: {most} of {served.length} tokens {'is' if most == 1 else 'are'} the most that fits"
            if most
            else f"send shorter rows: not even one of {served.length} tokens fits"
        )
    if any(t.shape is not None and t.shape.count(None) > 1 for t in signature.signature.outputs):
        lines.append(
            "export vectors instead of sequences: surgery convert --feature NAME=mean@-1/mean, or fewer blocks with "
            "--layers"
        )
    return tuple(lines)


def batches(served: Served) -> bool:
    """Whether the server may merge any two requests to the same signature, for all signatures."""
    return all(signature.batched and not signature.ragged for signature in served.signatures)


def _folder(served: Served) -> list[str]:
    """How the export lies among the versions, and under which name it is served."""
    versions, found = served.versions, []
    own = served.folder if versions.version is None else served.base_path
    if own.name != served.model:
        found.append(
            f"it is served as {served.model}: the name of its folder ({own.name}) does not fit into a URL as it is"
        )
    if versions.version is None:
        return [
            *found,
            f"the server looks for folders named by a version number, and {served.folder.name} is none: it would find "
            "nothing to serve. Move it first; the commands expect it there",
        ]
    if versions.labels:
        said = ", ".join(f"{label} is version {number}" for label, number in versions.labels.items())
        return [
            *found,
            f"clients name a version by its label: {said}. Without a label they get version {versions.named[-1]}",
            "to move a label, edit models.config: the server reads it again every minute. It moves a label only to a "
            "version that it has loaded, so let a new version load before its label moves",
            *served.notes,
        ]
    if versions.newer:
        newest = versions.newer[-1]
        found.append(
            f"{served.base_path} also has version {newest}, which the server would serve instead: models.config "
            f"therefore names version {versions.version}"
        )
    others = [number for number in versions.there if number != versions.version]
    if others:
        found.append(
            "to serve two versions side by side, give them labels: "
            f"--label stable={min(others[-1], versions.version)} --label canary={max(others[-1], versions.version)}"
        )
    return found


def _text(served: Served) -> list[str]:
    if not served.text_operations:
        return []
    needed = f"needs the operations of TensorFlow Text ({', '.join(served.text_operations)})"
    if any(kind.startswith(ROUND_ROBIN) for kind in served.text_operations):
        return [
            f"it {needed}. Use TensorFlow Serving 2.20 or later: earlier ones carry TensorFlow Text 2.12 or older, "
            f"without {ROUND_ROBIN}Trim, and fail with 'Op type not registered'"
        ]
    return [f"it {needed}, which are linked into TensorFlow Serving's own binary since 2.2"]


def _batching(served: Served) -> list[str]:
    """Whether --enable_batching is safe here, and why not."""
    whole = [s.name for s in served.signatures if not s.batched]
    if whole:
        return [
            f"--enable_batching is left out: {', '.join(whole)} has an input or output without a batch axis, which "
            "the server cannot merge or split"
        ]
    if any(s.ragged for s in served.signatures):
        return [
            "--enable_batching is left out: requests that are merged must be equally long, else all of them fail. Add "
            "it if every client pads to one length itself, with 0 in input_mask",
            "never set pad_variable_length_inputs: the server pads with a tensor's first value, which in input_mask is "
            "1. Padding would count as text, and every shorter row come back wrong without an error",
        ]
    if any(t.dtype == "string" for s in served.signatures for t in s.signature.inputs):
        return [
            "--enable_batching is safe, with the batching.config that --output writes: strings merge whatever their "
            "lengths. A reply's sequences are then as long as the longest text that it was merged with; input_mask "
            "says which tokens are a text's own"
        ]
    return []
