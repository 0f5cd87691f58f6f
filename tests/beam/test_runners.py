"""Which runner options name: what is not there is refused with help, before anything is read."""

import socket

import pytest

from surgery.beam.runners import choose_runner
from surgery.errors import UsageError


@pytest.mark.parametrize("name", ["NoRunner", "json.NoRunner"])
def test_a_runner_that_does_not_exist_is_refused_with_those_that_do(name):
    with pytest.raises(UsageError, match=f"--runner={name}: there is no such runner") as caught:
        choose_runner([f"--runner={name}"], None)
    assert "DaskRunner, DataflowRunner" in caught.value.hint


def test_a_runner_whose_package_is_not_installed_says_what_is_missing():
    with pytest.raises(UsageError, match="cannot be imported: No module named 'nowhere'") as caught:
        choose_runner(["--runner=nowhere.Runner"], None)
    assert "pip install" in caught.value.hint


def test_another_runner_gets_many_shares_and_its_own_workers():
    runner = choose_runner(["--runner=BundleBasedDirectRunner"], None)
    assert (runner.shares, runner.processes, runner.threads) == (64, None, None)
    with pytest.raises(UsageError, match="has its own workers"):
        choose_runner(["--runner=BundleBasedDirectRunner"], 2)


def test_this_machine_gets_a_share_for_each_process():
    runner = choose_runner([], 3)
    assert (runner.shares, runner.processes, runner.engine) == (3, 3, None)


@pytest.fixture
def dask(monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)


def refusal(*options):
    with pytest.raises(UsageError) as caught:
        choose_runner(["--runner=DaskRunner", *options], None)
    return caught.value


def test_dask_without_a_scheduler_says_how_to_name_one(dask):
    assert "needs the address of a scheduler" in refusal().message
    assert "--dask_client_address=tcp://HOST:8786" in refusal().hint


@pytest.mark.parametrize(
    ("address", "reason"),
    [("nonsense", "missing port number"), ("carrier-pigeon://host:1", "unknown address scheme"), ("tls://h:1", "TLS")],
)
def test_an_address_that_is_none_is_refused(dask, address, reason):
    error = refusal(f"--dask_client_address={address}")
    assert address in error.message
    assert reason in error.message
    assert "`dask scheduler` shows its address" in error.hint


@pytest.mark.parametrize("listens", [False, True], ids=["closed", "silent"])
def test_a_port_without_a_scheduler_is_refused_in_time(dask, listens):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:  # accepts, and never answers
            server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        error = refusal(f"--dask_client_address={address}", "--dask_connection_timeout=1")
    assert error.message == f"connecting to the scheduler of Dask at {address}: no answer within 1 s"


def test_a_scheduler_file_that_is_not_there_is_not_waited_for(dask, tmp_path):
    assert "there is no such file" in refusal(f"--dask_scheduler_file={tmp_path / 'none.json'}").message


def test_options_of_dask_are_known_and_others_are_not(dask):
    assert "it has no --dask_nonsense" in refusal("--dask_nonsense=1").message
