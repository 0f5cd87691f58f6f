"""Serving an export: its description as the server sees it, configuration files, commands, and warm-up requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import UsageError, WriteError
from surgery.export.publish import check_parents, publish, publish_file, staging
from surgery.jobs.mixed_precision import measure_mixed_precision
from surgery.jobs.warmup import Warmup, check_warmup, write_warmup
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import clear_folder
from surgery.tfserving import commands
from surgery.tfserving.client import CLIENT, client
from surgery.tfserving.config_files import BATCHING_CONFIG, MODELS_CONFIG, batching_config, models_config
from surgery.tfserving.flags import flags
from surgery.tfserving.mixed_precision import PRECISION, MixedPrecision
from surgery.tfserving.notes import notes
from surgery.tfserving.opening import open_served
from surgery.tfserving.served import Served
from surgery.tfserving.versions import read_labels


@dataclass(frozen=True, kw_only=True, repr=False)
class Serving(Result, report="serving"):
    """How to serve an export.

    Attributes:
        served: The export as the server sees it.
        files: The files for the server and its clients, contents by name.
        move: The command that must come first, None where the folder is named by a version already.
        server: The command that starts the server, None where it would need files that are not written.
        docker: The command that starts the server in a container, None as for `server`.
        docker_gpu: The same with the image for GPUs.
        curl: The command that sends one request.
        curl_by_label: That command for each label.
        flags: What flags of the server mean for the export, by flag.
        notes: Advice for serving the export, one line each.
        written: The folder that the files were written to, None where they were only made.
        warmup: The warm-up file, None where none was asked for.
        mixed_precision: What mixed precision costs and gains, None where it was not asked for.
    """

    served: Served
    files: Mapping[str, str]
    move: str | None
    server: str | None
    docker: str | None
    docker_gpu: str | None
    curl: str
    curl_by_label: Mapping[str, str]
    flags: Mapping[str, str]
    notes: tuple[str, ...]
    written: Path | None
    warmup: Warmup | None
    mixed_precision: MixedPrecision | None = None

    @property
    def fits(self) -> bool:
        """True if the reply of every signature fits into gRPC's default limit of 4 MiB."""
        return all(signature.reply.fits for signature in self.served.signatures)


def serve_export(
    folder: Path,
    signatures: Sequence[str] = (),
    *,
    batch: int = 1,
    length: int | None = None,
    labels: Mapping[str, int] | Iterable[str] = (),
    output: Path | None = None,
    warmup: bool = False,
    mixed_precision: str | None = None,
    trust: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Serving:
    """Describes an export for serving. With `output` the files are written, with `warmup` the warm-up requests.

    With `labels`, the versions that they name are served side by side. With `mixed_precision`, "bfloat16", its errors
    and times are measured where this processor can show them.

    Raises a SurgeryError that names the cause. A file is then either complete, or as it was before.
    """
    if mixed_precision not in (None, PRECISION):
        raise UsageError(
            f"{argument('mixed_precision', mixed_precision)}: TensorFlow Serving knows no such mixed precision",
            hint=f"the only one is {PRECISION}",
        )
    served = open_served(folder, signatures, batch=batch, length=length, labels=read_labels(labels))
    if output is not None:
        _check_output(output, overwrite=overwrite)
    if warmup:
        check_warmup(served.folder, overwrite=overwrite)
    files = _files(served)
    kept = None
    if warmup:
        permission = clear_folder(served.folder, trust=trust)
        kept = write_warmup(served, permission, served.model, overwrite=overwrite, progress=progress)
    measured = None
    if mixed_precision is not None:
        measured = measure_mixed_precision(served, trust=trust, progress=progress)
    if output is not None:
        _write(files, output)
    configs = None if output is None else output.absolute()
    return Serving(
        served=served if kept is None else replace(served, warmup_bytes=kept.file.stat().st_size),
        files=files,
        move=commands.move(served),
        server=commands.server(served, configs),
        docker=commands.docker(served, configs),
        docker_gpu=commands.docker(served, configs, gpu=True),
        curl=commands.curl(served, served.versions.own_label),
        curl_by_label={label: commands.curl(served, label) for label in served.versions.labels},
        flags=flags(served),
        notes=notes(served),
        written=output,
        warmup=kept,
        mixed_precision=measured,
    )


def _files(served: Served) -> dict[str, str]:
    """Contents of the files by name."""
    versions = served.versions
    return {
        MODELS_CONFIG: models_config(served.model, served.base_path, versions.named, versions.labels),
        BATCHING_CONFIG: batching_config(served.batch),
        CLIENT: client(served),
    }


def _check_output(output: Path, *, overwrite: bool) -> None:
    check_parents(output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{argument('output', output)}: it is a file", hint="give a folder")
    there = [name for name in (MODELS_CONFIG, BATCHING_CONFIG, CLIENT) if (output / name).exists()]
    if there and not overwrite:
        raise UsageError(
            f"{argument('output', output)}: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already",
            hint=f"choose another folder, or give {argument('overwrite', True)}",
        )


def _write(files: Mapping[str, str], output: Path) -> None:
    with staging(output) as folder:
        try:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise WriteError(f"writing {output}: {error.strerror}", hint="check free space and permissions") from error
        if not output.exists():
            publish(folder, output, overwrite=False)
            return
        for name in files:
            publish_file(folder / name, output / name)
