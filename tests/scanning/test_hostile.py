"""Every operation of the hostile set is found, wherever it stands. Nothing here imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from surgery.scanning.scan import scan_saved_model
from tests.support.graph_defs import FLOAT
from tests.support.hostile import OPERATIONS, PLACES, PLANTED, STRING, hostile, small_module

MARKER = Path("/nowhere/marker")


def findings(saved_model):
    return scan_saved_model(saved_model, None, "small", "TF2 SavedModel").findings


def test_the_module_without_them_is_clean():
    assert findings(small_module()) == ()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_found_in_a_signature(operation):
    (found,) = findings(hostile("signature", operation, MARKER))
    assert (found.node, found.kind) == (PLANTED, "signature")
    assert found.place == "signature serving_default → call (in body)"


@pytest.mark.parametrize("place", PLACES)
def test_a_write_is_found_in_every_place(place):
    (found,) = findings(hostile(place, "WriteFile", MARKER))
    assert (found.operation, found.node, found.group) == ("WriteFile", PLANTED, "touches files")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("two calls deep", "signature serving_default → call → outer → result (in inner)"),
        ("control edge", "signature serving_default"),
        ("initialiser", "initialiser __saved_model_init_op"),
        ("initialiser of an object", "initialiser _initialize (in of_object)"),
        ("restore", "restore restore"),
        ("restore function", "restore restore → traced (in traced_restore)"),
        ("save", "save save:0"),
        ("gradient", "signature serving_default → call → its gradient (in backward)"),
        ("constant", "constant dataset of signature serving_default → call (in body)"),
        ("attribute of an attribute", "signature serving_default → call → runs (in given)"),
        ("list of branches", "signature serving_default → call → case (in given)"),
        ("name of an operation", "signature serving_default → call → result (in Relu)"),
        ("graph alone", "graph"),
        ("function alone", "function uncalled (in uncalled)"),
    ],
)
def test_a_finding_says_where_it_stands(place, shown):
    assert findings(hostile(place, "WriteFile", MARKER))[0].place == shown


@pytest.mark.parametrize("place", ["restore", "restore function", "save"])
@pytest.mark.parametrize("operation", ["SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"])
def test_a_saver_opens_no_file_but_the_checkpoint(place, operation):
    (found,) = findings(hostile(place, operation, MARKER))
    assert found.could == f"it opens a file that is not the checkpoint: the name comes from the constant b'{MARKER}'"


@pytest.mark.parametrize("place", PLACES)
def test_a_text_file_that_is_no_asset_is_found_in_every_place(place):
    (found,) = findings(hostile(place, "InitializeTableFromTextFileV2", MARKER))
    assert "it opens a file that is not an asset" in found.could


@pytest.mark.parametrize("operation", ["saved", "values"])
def test_what_a_signature_needs_is_no_part_of_the_saver(operation):
    saved_model = small_module()
    saved_model.meta_graphs[0].graph_def.node[1].input.append(f"^{operation}")
    assert [(found.node, found.kind) for found in findings(saved_model)] == [(operation, "signature")]


def test_an_asset_is_only_read_as_the_module_is_loaded():
    saved_model = small_module()
    meta_graph = saved_model.meta_graphs[0]
    nodes = meta_graph.graph_def.node
    nodes.add(name="table", op="HashTableV2")
    nodes.add(name="asset", op="Const")
    nodes.add(name="filled", op="InitializeTableFromTextFileV2", input=["table", "asset"])
    meta_graph.asset_file_def.add(filename="vocab.txt").tensor_info.name = "asset:0"
    nodes[2].input.append("^filled")  # init
    assert findings(saved_model) == ()
    nodes[1].input.append("^filled")  # call
    assert [found.node for found in findings(saved_model)] == ["filled"]


def lend(meta_graph, nodes):
    nodes.add(name="other", op="PartitionedCall", input=["path"])


def share(meta_graph, nodes):
    nodes.add(name="other", op="VarHandleOp").attr["shared_name"].s = b"path"
    nodes[-1].attr["dtype"].type = STRING


def share_in_a_function(meta_graph, nodes):
    share(meta_graph, meta_graph.graph_def.library.function[0].node_def)


def restore(meta_graph, nodes):
    variable = meta_graph.object_graph_def.nodes.add().variable
    variable.name, variable.dtype = "path", STRING


@pytest.mark.parametrize("change", [lend, share, share_in_a_function, restore])
def test_a_path_in_a_variable_is_an_assets_only_if_nothing_else_can_change_it(change):
    saved_model = small_module()
    meta_graph = saved_model.meta_graphs[0]
    nodes = meta_graph.graph_def.node
    nodes.add(name="table", op="HashTableV2")
    nodes.add(name="asset", op="Const")
    nodes.add(name="path", op="VarHandleOp").attr["dtype"].type = STRING
    nodes.add(name="assigned", op="AssignVariableOp", input=["path", "asset"])
    nodes.add(name="read", op="ReadVariableOp", input=["path", "^assigned"])
    nodes.add(name="filled", op="InitializeTableFromTextFileV2", input=["table", "read"])
    meta_graph.asset_file_def.add(filename="vocab.txt").tensor_info.name = "asset:0"
    nodes[2].input.append("^filled")  # init
    number = meta_graph.object_graph_def.nodes.add().variable
    number.name, number.dtype = "path", FLOAT  # another variable, as many are called "Variable"
    assert findings(saved_model) == ()
    change(meta_graph, nodes)
    (found,) = [found for found in findings(saved_model) if found.node == "filled"]
    assert "the name comes from the variable path, which" in found.could


def test_a_name_that_leads_out_of_the_checkpoints_folder_is_found():
    saved_model = small_module()
    nodes = saved_model.meta_graphs[0].graph_def.node
    by_name = {node.name: node for node in nodes}
    joined = nodes.add(name="joined", op="StringJoin", input=["saver_filename", "keys"])
    by_name["saved"].input[0] = joined.name
    assert findings(saved_model) == ()
    by_name["keys"].attr["value"].tensor.string_val[0] = b"/../../etc/cron.d/x"
    (found,) = findings(saved_model)
    assert (found.operation, found.node) == ("SaveV2", "saved")


@pytest.mark.parametrize("name", ["../../etc/hostname", "/etc/hostname", "link"])
def test_an_asset_outside_the_folder_is_found(name, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "link").symlink_to("/etc/hostname")
    (tmp_path / "assets" / "vocab.txt").write_text("")
    saved_model = small_module()
    saved_model.meta_graphs[0].asset_file_def.add(filename="vocab.txt").tensor_info.name = "x:0"
    assert scan_saved_model(saved_model, tmp_path, "small", "").clean
    saved_model.meta_graphs[0].asset_file_def.add(filename=name).tensor_info.name = "x:0"
    (found,) = scan_saved_model(saved_model, tmp_path, "small", "").findings
    assert (found.operation, found.node) == ("asset", f"assets/{name}")
    assert scan_saved_model(saved_model, None, "in a remote file system", "").clean == (name == "link")


def test_another_machine_is_found():
    saved_model = small_module()
    call = saved_model.meta_graphs[0].graph_def.node[1]
    call.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    assert findings(saved_model) == ()
    call.device = "/job:worker/task:1"
    assert [found.group for found in findings(saved_model)] == ["uses the network"]


def test_functions_that_call_each_other_twice_or_themselves_are_scanned_at_once():
    saved_model = small_module()
    library = saved_model.meta_graphs[0].graph_def.library
    for number in range(60):
        made = library.function.add()
        made.signature.name = f"f{number}"
        for call in ("first", "second"):
            made.node_def.add(name=call, op=f"f{(number + 1) % 60}")
    made.node_def.add(name="deepest", op="WriteFile")
    (found,) = findings(saved_model)
    assert found.node == "deepest"
