"""Commands for people to copy: they work as they are printed, and name no file that does not exist."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import urllib.parse
from pathlib import Path

from surgery.tfserving.client import GRPC_PORT, example_request
from surgery.tfserving.config_files import BATCHING_CONFIG, MODELS_CONFIG
from surgery.tfserving.notes import batches
from surgery.tfserving.served import Served

REST_PORT = 8501
RELEASE = "2.20.0"
"""The oldest release of TensorFlow Serving whose image is named: it has the TensorFlow of this package."""
POLL_SECONDS = 60
"""How often the server looks whether labels have been moved in models.config."""


def needs_files(served: Served) -> bool:
    """Whether the server cannot be started without models.config: it has to name versions, or labels."""
    return bool(served.versions.named)


def curl(served: Served, label: str | None = None) -> str:
    """A REST request by columns (`inputs`), as a command line for any shell; `label` names a version."""
    inputs = {key: value for key, (_, value) in example_request(served).items()}
    body = json.dumps({"signature_name": served.first.name, "inputs": inputs})
    of_version = "" if label is None else f"/labels/{label}"
    url = f"http://localhost:{REST_PORT}/v1/models/{_in_url(served.model)}{of_version}:predict"
    return f"curl -s -d {shlex.quote(body)} {shlex.quote(url)}"


def move(served: Served) -> str | None:
    """The command that puts an export where the server finds it; None where it is there already."""
    if served.version is not None:
        return None
    paths = (served.base_path, served.folder, served.base_path / str(served.versions.next))
    base, folder, target = (shlex.quote(str(path)) for path in paths)
    return f"mkdir -p {base} && mv {folder} {target}"


def server(served: Served, configs: Path | None) -> str | None:
    """The command line of TensorFlow Serving, with its configuration files in a folder.

    Without files it serves the newest version; None where that is not what is wanted.
    """
    if configs is None and needs_files(served):
        return None
    named = [
        f"--model_name={shlex.quote(served.model)}",
        f"--model_base_path={shlex.quote(str(served.base_path))}",
    ]
    options = named if configs is None else _flags(served, configs)
    return " ".join(["tensorflow_model_server", f"--port={GRPC_PORT}", f"--rest_api_port={REST_PORT}", *options])


def docker(served: Served, configs: Path | None, *, gpu: bool = False) -> str | None:
    """The same in a container, also of the image for GPUs.

    With configuration files, folders keep their paths, so that models.config is right inside as well.
    """
    if configs is None and needs_files(served):
        return None
    words = ["docker run --rm", *(["--gpus all"] if gpu else [])]
    words += [f"-p 127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT)]
    if configs is None:
        words += [
            _mount(str(served.base_path), f"/models/{served.model}"),
            f"-e MODEL_NAME={shlex.quote(served.model)}",
        ]
    else:
        words += [_mount(path, path) for path in dict.fromkeys((str(served.base_path), str(configs)))]
    options = [] if configs is None else _flags(served, configs)
    return " ".join([*words, image(served, gpu=gpu), *options])


def image(served: Served, *, gpu: bool = False) -> str:
    """The server's image: with the TensorFlow that wrote the export, where that is newer than the oldest one named."""
    written = re.match(r"([0-9]+)\.([0-9]+)", served.tensorflow_version)
    newer = written is not None and (int(written[1]), int(written[2])) > tuple(map(int, RELEASE.split(".")[:2]))
    release = f"{written[0]}.0" if written is not None and newer else RELEASE
    return f"tensorflow/serving:{release}{'-gpu' if gpu else ''}"


def _in_url(name: str) -> str:
    return urllib.parse.quote(os.fsencode(name), safe="")


def _mount(source: str, target: str) -> str:
    """A folder in the syntax of --mount, which is a line of CSV; that of -v cannot have colons in a path."""
    line = io.StringIO()
    csv.writer(line).writerow(["type=bind", f"source={source}", f"target={target}", "readonly"])
    return "--mount " + shlex.quote(line.getvalue().removesuffix("\r\n"))


def _flags(served: Served, configs: Path) -> list[str]:
    found = [f"--model_config_file={shlex.quote(str(configs / MODELS_CONFIG))}"]
    if served.versions.labels:
        # The server reads labels before it has loaded their versions, and later only when it looks again.
        found += [
            "--allow_version_labels_for_unavailable_models",
            f"--model_config_file_poll_wait_seconds={POLL_SECONDS}",
        ]
    if batches(served):
        found += ["--enable_batching", f"--batching_parameters_file={shlex.quote(str(configs / BATCHING_CONFIG))}"]
    return found
