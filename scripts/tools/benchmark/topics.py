"""The measured topics: one function per topic, from a fixture to comparisons."""

import functools
import json
import pathlib
import sys
from collections.abc import Callable

from scripts.tools.benchmark.checkpoint_topic import measure_checkpoint
from scripts.tools.benchmark.cluster_topic import measure_cluster
from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.costs import compare_costs
from scripts.tools.benchmark.extract_topics import measure_extract, measure_processes
from scripts.tools.benchmark.fixture import Fixture, files_of
from scripts.tools.benchmark.inference import measure_inference
from scripts.tools.benchmark.processes import Cost, by_turns, run
from scripts.tools.benchmark.progress import say

NOISE = "source again"


def measure_inspect(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare `surgery inspect` with `saved_model_cli show --all`, as whole processes."""
    show = str(pathlib.Path(sys.executable).with_name("saved_model_cli"))
    module = str(fixture.module)
    sides: dict[str, Callable[[], Cost]] = {
        "surgery inspect": lambda: fixture.surgery("inspect", module),
        "saved_model_cli show": lambda: run([show, "show", "--dir", module, "--all"], fixture.root),
    }
    for side in sides.values():
        side()  # writes byte code and fills the file cache
    return compare_costs("inspect", by_turns(sides, repeats or 5))


def measure_convert(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare `surgery convert`, including the parity check, with the naive script, as whole processes."""
    sides = {"surgery convert": fixture.convert, "naive script": fixture.convert_naively}
    return compare_costs("convert", by_turns(sides, repeats or 3))


def measure_load(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare the time of `tf.saved_model.load` alone, every load in a fresh process."""
    folders = {"export": fixture.export(), "source": fixture.module, NOISE: fixture.module}
    for name in ("export", "source"):
        fixture.program("time_load", str(folders[name]))
    sides = {name: functools.partial(fixture.program, "time_load", str(folder)) for name, folder in folders.items()}
    costs = by_turns(sides, repeats or 3)
    seconds = {name: [float(json.loads(cost.output)["load"]) for cost in costs[name]] for name in sides}
    return [
        Comparison.between(
            seconds,
            name,
            "source",
            topic="load",
            quantity="tf.saved_model",
            unit="s",
            is_noise=name == NOISE,
        )
        for name in ("export", NOISE)
    ]


def measure_families(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare the two forms of the graph in every family, on encoders of four blocks with random weights."""
    say("calling every family's encoder in both forms by turns, in one process")
    cost = fixture.program("time_families", str(repeats or 9))
    return [
        Comparison.between(
            milliseconds,
            side,
            "model_garden",
            topic="families",
            quantity=quantity,
            unit="ms",
            is_noise=side != "fused",
            is_paired=True,
        )
        for quantity, milliseconds in json.loads(cost.output).items()
        for side in milliseconds
        if side != "model_garden"
    ]


def measure_taps(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare calls with block outputs, attention maps and every tap with the source's, and depths with all blocks."""
    export = fixture.tapped()
    say("calling all signatures by turns, in one process")
    cost = fixture.program("time_taps", str(fixture.module), str(export))
    comparisons = []
    for shape, milliseconds in json.loads(cost.output).items():
        depths = [name for name in milliseconds if name.startswith("depth_")]
        whole = depths[-1]
        rows = [
            (name, name, "source") for name in ("all block outputs", "with attention_probs", "with every tap", NOISE)
        ]
        rows += [(f"depth {int(name[6:]) / int(whole[6:]):.2f} L", name, "all block outputs") for name in depths[:-1]]
        comparisons += [
            Comparison.between(
                milliseconds,
                subject,
                reference,
                topic="taps",
                quantity=f"{shape}, {what}",
                unit="ms",
                is_noise=subject == NOISE,
                is_paired=True,
            )
            for what, subject, reference in rows
        ]
    return comparisons


def measure_convert_taps(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare a conversion with every tap with one without taps, as whole processes."""
    sides = {"with every tap": fixture.convert_tapped, "surgery convert": fixture.convert}
    return compare_costs("convert taps", by_turns(sides, repeats or 3))


def measure_sizes(fixture: Fixture, repeats: int | None) -> list[Comparison]:
    """Compare the bytes of the graph and of the weights."""
    comparisons = []
    for quantity, place in (("saved_model.pb", "saved_model.pb"), ("variables", "variables")):
        export, source = (bytes_at(folder / place) for folder in (fixture.export(), fixture.module))
        comparisons.append(
            Comparison(
                topic="sizes",
                quantity=quantity,
                unit="MB",
                subject="export",
                subject_samples=[export],
                reference="source",
                reference_samples=[source],
            )
        )
    return comparisons


def bytes_at(path: pathlib.Path) -> float:
    """Return the size of a file, or of all files in a folder, in millions of bytes."""
    return sum(file.stat().st_size for file in (files_of(path) if path.is_dir() else [path])) / 1e6


TOPICS: dict[str, Callable[[Fixture, int | None], list[Comparison]]] = {
    "inspect": measure_inspect,
    "convert": measure_convert,
    "checkpoint": measure_checkpoint,
    "load": measure_load,
    "inference": measure_inference,
    "families": measure_families,
    "taps": measure_taps,
    "convert taps": measure_convert_taps,
    "sizes": measure_sizes,
    "extract": measure_extract,
    "processes": measure_processes,
    "cluster": measure_cluster,
}
