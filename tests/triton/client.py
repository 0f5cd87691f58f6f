"""Sends requests to Triton with its own clients, many at a time; runs in the environment `triton`, not in the tests'.

    python client.py HTTP_PORT GRPC_PORT PLAN ANSWERS

PLAN is an .npz: `plan` is JSON, a list of {"client", "protocol", "model", "outputs", "inputs"}, and the inputs of
request n are the arrays `n/KEY`. ANSWERS is an .npz of `n/KEY`, and `n` with the message of a request that failed. All
requests of one client go one after the other; all clients start together.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

SECONDS = 60


def main(http_port: str, grpc_port: str, plan_path: str, answers_path: str) -> None:
    with np.load(plan_path) as file:
        arrays = dict(file)
    by_client = defaultdict(list)
    for number, request in enumerate(json.loads(str(arrays.pop("plan")))):
        request["number"] = number
        request["arrays"] = {key: arrays[f"{number}/{key}"] for key in request["inputs"]}
        by_client[request["client"]].append(request)
    answers: dict[str, np.ndarray] = {}
    together = threading.Barrier(len(by_client))
    threads = [
        threading.Thread(target=talk, args=(requests, http_port, grpc_port, together, answers), daemon=True)
        for requests in by_client.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * SECONDS)
    np.savez(answers_path, **answers)


def talk(requests, http_port, grpc_port, together, answers) -> None:
    """One client: a connection of its own, its requests in turn, each answer filed under the request's number."""
    library, client = {
        "http": lambda: (
            tritonclient.http,
            tritonclient.http.InferenceServerClient(
                f"127.0.0.1:{http_port}", connection_timeout=SECONDS, network_timeout=SECONDS
            ),
        ),
        "grpc": lambda: (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}")),
    }[requests[0]["protocol"]]()
    within = {"client_timeout": SECONDS} if library is tritonclient.grpc else {}
    together.wait(SECONDS)
    for request in requests:
        inputs = []
        for key, value in request["arrays"].items():
            # npz keeps texts as fixed-width bytes; Triton's clients take them as objects.
            value = value.astype(object) if value.dtype.kind == "S" else value
            inputs.append(library.InferInput(key, value.shape, np_to_triton_dtype(value.dtype)))
            inputs[-1].set_data_from_numpy(value)
        wanted = request["outputs"] and [library.InferRequestedOutput(key) for key in request["outputs"]]
        number = request["number"]
        try:
            result = client.infer(request["model"], inputs, outputs=wanted, **within)
        except InferenceServerException as error:
            answers[str(number)] = np.array(str(error))
            continue
        reply = result.get_response()
        outputs = reply["outputs"] if isinstance(reply, dict) else reply.outputs
        for output in outputs:
            key = output["name"] if isinstance(output, dict) else output.name
            answers[f"{number}/{key}"] = result.as_numpy(key)
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
