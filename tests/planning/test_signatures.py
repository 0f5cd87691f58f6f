"""What a request for outputs becomes: signatures, each with its outputs and the blocks that it runs."""

from __future__ import annotations

from functools import cache

import pytest

import surgery
from surgery.errors import UsageError
from surgery.planning.features import ResolvedFeature
from surgery.planning.outputs import Signature
from surgery.planning.requests import Feature, Request, Tap
from surgery.planning.signatures import resolve
from surgery.planning.texts import Texts
from tests.support.running import on_the_command_line

ENDS = ("pooled_output", "sequence_output", "embedding_output")
THREE = tuple(f"encoder_outputs_{block}" for block in range(3))


def signature(outputs: tuple[str, ...], depth: int | None = None, packed: bool = False) -> Signature:
    return Signature(outputs=outputs, depth=depth, packed=packed)


def resolved(name, layers, mix, weights, pooling) -> ResolvedFeature:
    return ResolvedFeature(
        name=name,
        states=tuple("embedding_output" if layer == "embedding" else f"encoder_outputs_{layer}" for layer in layers),
        outputs=tuple(f"{name}_{layer}" for layer in layers) if mix == "none" else (name,),
        mix=mix,
        weights=weights,
        pooling=pooling,
        depth=max(1 if layer == "embedding" else layer + 1 for layer in layers),
    )


@pytest.fixture(scope="module")
def outputs(modules):
    """`outputs("hf_bert", taps=["query"])` is what that request becomes; all modules here have three blocks."""
    inference = cache(lambda name: surgery.plan(modules(name)).inference)

    def make(name: str = "g4_bert_mlm", **request):
        return resolve(inference(name), Request.of(**request))

    return make


@pytest.fixture(scope="module")
def refused(outputs):
    """`refused(features=["…"])` is the error of that request, as `surgery plan` spells it."""

    def run(name: str = "g4_bert_mlm", **request) -> UsageError:
        with pytest.raises(UsageError) as caught:
            outputs(name, **request)
        return on_the_command_line(caught.value)

    return run


def test_without_a_request_there_is_the_default_signature_alone(outputs):
    found = outputs()
    assert list(found.signatures) == ["serving_default"]
    assert sorted(found.signatures["serving_default"].outputs) == sorted([*ENDS, *THREE])
    assert found.signatures["serving_default"].depth is None
    assert (found.taps, found.features, found.extra, found.tap_names) == ((), {}, {}, frozenset())


def test_the_default_signature_stays_lean_whatever_is_added(outputs):
    found = outputs(taps=["query"], features=["text=mean"], depths=[1, 2], signatures=["probe=query_0"])
    assert found.signatures["serving_default"] == outputs().signatures["serving_default"]
    assert list(found.signatures) == ["serving_default", "taps", "text", "depth_1", "depth_2", "probe"]
    assert list(found.extra) == ["taps", "text", "depth_1", "depth_2", "probe"]


def test_taps_are_a_signature_of_their_own(outputs):
    found = outputs(taps=["ffn_output@-1", "query@0,2"])
    assert found.extra == {"taps": signature(("query_0", "query_2", "ffn_output_2"))}
    assert found.tap_names == {"query_0", "query_2", "ffn_output_2"}
    assert found.tapped_blocks == {"query": (0, 2), "ffn_output": (2,)}


@pytest.mark.parametrize(
    ("layers", "blocks"), [("-1", (2,)), ("0,2", (0, 2)), ("1:", (1, 2)), ("::2", (0, 2)), (":", (0, 1, 2))]
)
def test_layers_choose_the_block_outputs_of_the_default_signature_only(layers, blocks, outputs):
    found = outputs(layers=layers, taps=["query"], depths=[2])
    served = found.signatures["serving_default"].outputs
    assert sorted(served) == sorted([*ENDS, *(f"encoder_outputs_{block}" for block in blocks)])
    assert found.extra == outputs(taps=["query"], depths=[2]).extra


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("3", "--layers 3: there is no block 3"),
        ("x", "--layers x: cannot read"),
        ("2:1", "--layers 2:1: selects none"),
        ("", "--layers : cannot read"),
    ],
)
def test_layers_that_there_are_not_are_refused(layers, message, refused):
    assert refused(layers=layers).message.startswith(message)


@pytest.mark.parametrize(
    ("spelled", "feature", "depth"),
    [
        ("text=mean@-2:/mean", resolved("text", (1, 2), "mean", (), "mean"), None),
        ("text=mean", resolved("text", (0, 1, 2), "mean", (), "none"), None),
        ("text=none@-1/cls", resolved("text", (2,), "none", (), "cls"), None),
        ("a_1=sum@0", resolved("a_1", (0,), "sum", (), "none"), 1),
        ("text=concat/mean_max", resolved("text", (0, 1, 2), "concat", (), "mean_max"), None),
        ("text=concat@:2/mean_sqrt_len", resolved("text", (0, 1), "concat", (), "mean_sqrt_len"), 2),
        ("Text=0.25,-0.75@0,1/max", resolved("Text", (0, 1), "weights", (0.25, -0.75), "max"), 2),
        ("text=1e-3@1", resolved("text", (1,), "weights", (1e-3,), "none"), 2),
        ("text=0.2,0.3,0.5", resolved("text", (0, 1, 2), "weights", (0.2, 0.3, 0.5), "none"), None),
        # A layer counts as often as it is there, and in its place.
        ("text=concat@0,2,-1", resolved("text", (0, 2, 2), "concat", (), "none"), None),
        ("text=sum@:2,1,0", resolved("text", (0, 1, 1, 0), "sum", (), "none"), 2),
        ("text=mean@::-1/mean", resolved("text", (2, 1, 0), "mean", (), "mean"), None),
        ("text=0.2,0.3,0.5@1,0,1", resolved("text", (1, 0, 1), "weights", (0.2, 0.3, 0.5), "none"), 2),
        ("text=concat@-1, embedding ,0/cls", resolved("text", (2, "embedding", 0), "concat", (), "cls"), None),
        ("text=mean@embedding,embedding", resolved("text", ("embedding", "embedding"), "mean", (), "none"), 1),
    ],
)
def test_a_feature_is_a_signature_that_runs_no_more_blocks_than_it_needs(spelled, feature, depth, outputs):
    found = outputs(features=[spelled])
    assert found.features == {feature.name: feature}
    made = signature((feature.name,) if feature.mix != "none" else ("text_2",), depth, feature.pooling != "none")
    assert found.extra == {feature.name: made}


def test_layers_that_are_not_mixed_are_an_output_each(outputs):
    found = outputs(features=["text=none@1,embedding,0/mean", "other=mean"])
    assert found.extra["text"] == signature(("text_1", "text_embedding", "text_0"), 2, packed=True)
    assert found.feature_of("text_1") == found.features["text"]
    assert found.feature_of("other") == found.features["other"]
    assert found.feature_of("text") is None


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("text", "expected NAME=MIX@LAYERS/POOLING, such as vector=mean@-4:/mean"),
        ("=mean", "'' is no name"),
        ("1st=mean", "'1st' is no name"),
        ("my text=mean", "'my text' is no name"),
        ("té=mean", "'té' is no name"),
        ("text=", "there is no mix ''"),
        ("text=average@-1", "there is no mix 'average'"),
        ("text=mean@4", "there is no block 4, there are 3: 0 to 2"),
        ("text=mean@0;1", "cannot read '0;1' as blocks"),
        ("text=mean@2:1/mean", "selects none of the 3 blocks"),
        ("text=concat@0,3:", "selects none of the 3 blocks"),
        ("text=concat@0,embeddings", "there is no layer 'embeddings'"),
        ("text=none@0,2,-1", "a layer is there twice, and both would be the output text_2"),
        ("text=mean@-1/average", "there is no pooling 'average'"),
        ("text=mean@-1/mean/max", "there is no pooling 'mean/max'"),
        ("text=0.5@0,1", "expected 2 weights, one for each layer, found 1"),
        ("text=0.5,0.5@0", "expected 1 weights, one for each layer, found 2"),
        ("text=0.5,nan@0,1", "a weight is not finite"),
        ("text=inf@0", "a weight is not finite"),
        ("text=0.5,x@0,1", "there is no mix '0.5,x'"),
    ],
)
def test_a_feature_that_cannot_be_is_refused_with_its_spelling(spelled, message, refused):
    assert refused(features=["other=mean", spelled]).message.startswith(f"--feature {spelled}: {message}")


def test_a_wrong_word_in_a_feature_is_answered_with_the_right_ones(refused):
    assert "none, mean, sum, concat, or a weight for each layer" in refused(features=["text=avg"]).hint
    assert "none, cls, mean, max, mean_max, mean_sqrt_len" in refused(features=["text=mean/avg"]).hint


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"features": ["text=mean", "text=sum"]}, "--feature text=sum: there is a feature text already"),
        ({"features": ["pooled_output=mean"]}, "there is an output pooled_output already"),
        ({"features": ["encoder_outputs_1=mean"]}, "there is an output encoder_outputs_1 already"),
        ({"features": ["encoder_outputs=none@2"]}, "there is an output encoder_outputs_2 already"),
        ({"features": ["query_1=mean"], "taps": ["query"]}, "there is an output query_1 already"),
        ({"features": ["query=none@1"], "taps": ["query"]}, "there is an output query_1 already"),
        ({"features": ["taps=mean"]}, "there is a signature taps already"),
        ({"features": ["serving_default=mean"]}, "there is a signature serving_default already"),
        ({"features": ["mlm=mean"]}, "there is a signature mlm already"),
        ({"features": ["depth_2=mean"]}, "there is a signature depth_2 already"),
    ],
    ids=str,
)
def test_a_feature_takes_no_name_that_is_taken(request_, message, refused):
    assert message in refused(**request_).message


def test_a_name_that_nothing_else_has_is_free(outputs):
    assert "query_1" in outputs(features=["query_1=mean"]).extra
    assert "query_1" in outputs(features=["query_1=mean"], taps=["query@0"]).extra


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_depth_gives_what_the_first_blocks_give(depth, outputs):
    found = outputs(depths=[depth]).extra
    assert list(found) == [f"depth_{depth}"]
    shallow = found[f"depth_{depth}"]
    assert sorted(shallow.outputs) == sorted(["sequence_output", "embedding_output", *THREE[:depth]])
    # The source pools its last block only, so a shallower encoder has no pooled output; one that is whole runs whole.
    assert shallow.depth == (None if depth == 3 else depth)


@pytest.mark.parametrize("depth", [0, -1, 4])
def test_a_depth_that_there_is_not_is_refused(depth, refused):
    assert refused(depths=[1, depth]).message == f"--depth {depth}: the encoder has 3 blocks, expected 1 to 3"


def test_a_depth_that_is_asked_for_twice_is_there_once(outputs):
    assert list(outputs(depths=[2, 1, 2]).extra) == ["depth_2", "depth_1"]


@pytest.mark.parametrize(
    ("listed", "depth"),
    [
        ("query_0", 1),
        ("embedding_output", 1),
        ("query_0,embedding_output", 1),
        ("encoder_outputs_0", 1),
        ("encoder_outputs_1,query_0", 2),
        ("query_1", 2),
        ("early", 2),
        ("one_0,query_0", 1),
        ("encoder_outputs_2", None),
        ("query_0,query_2", None),
        ("query_0,sequence_output", None),
        ("query_0,pooled_output", None),
    ],
)
def test_a_composed_signature_runs_no_more_blocks_than_its_outputs_need(listed, depth, outputs):
    request = {"taps": ["query"], "features": ["early=mean@:2/mean", "one=none@0"]}
    assert outputs(**request, signatures=[f"probe={listed}"]).signatures["probe"] == signature(
        tuple(listed.split(",")), depth, packed=listed == "early"
    )


def test_outputs_of_a_composed_signature_may_stand_apart_and_count_once(outputs):
    found = outputs(taps=["query@1"], signatures=["probe= query_1 , pooled_output,query_1,"])
    assert found.extra["probe"].outputs == ("query_1", "pooled_output")


def test_a_composed_signature_may_have_what_the_default_one_leaves_out(outputs):
    found = outputs(layers="-1", signatures=["probe=encoder_outputs_0"])
    assert "encoder_outputs_0" not in found.signatures["serving_default"].outputs
    assert found.extra["probe"] == signature(("encoder_outputs_0",), 1)


@pytest.mark.parametrize("spelled", ["probe", "probe=", "probe=,", "=query_0", "1=query_0", "a b=query_0"])
def test_a_composed_signature_that_cannot_be_read_is_refused(spelled, refused):
    message = refused(taps=["query"], signatures=[spelled]).message
    assert message.startswith(f"--signature {spelled}: expected NAME=OUTPUT,OUTPUT")


@pytest.mark.parametrize("name", ["serving_default", "mlm", "taps", "text", "depth_1", "other"])
def test_a_composed_signature_takes_no_name_that_is_taken(name, refused):
    spelled = [*(["other=query_0"] if name == "other" else []), f"{name}=pooled_output"]
    error = refused(taps=["query"], features=["text=mean"], depths=[1], signatures=spelled)
    assert error.message == f"--signature {name}=pooled_output: there is a signature {name} already"


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("pooled", "did you mean pooled_output?"),
        ("encoder_outputs_3", "encoder_outputs_2"),
        ("query_1", "taps have to be asked for with --tap"),
        ("query", "did you mean query_0?"),
        ("tex", "did you mean text?"),
        ("mlm_logits", "taps have to be asked for"),
        ("zzz", "features with --feature"),
    ],
)
def test_an_output_that_there_is_not_is_refused_with_the_nearest(output, hint, refused):
    error = refused(taps=["query@0"], features=["text=mean"], signatures=[f"probe=pooled_output,{output}"])
    assert error.message.endswith(f": there is no output {output}")
    assert hint in error.hint


def test_mobilebert_s_own_list_begins_with_the_embedding_and_blocks_are_counted_without_it(outputs):
    found = outputs(
        "g4_mobilebert",
        layers="-1",
        depths=[1],
        features=["text=mean@:2"],
        signatures=["entering=encoder_outputs_0", "first=encoder_outputs_1", "second=encoder_outputs_2,query_0"],
        taps=["query@0"],
    )
    served = found.signatures["serving_default"].outputs
    assert [name for name in served if name.startswith("encoder")] == ["encoder_outputs_3"]
    assert sorted(found.extra["depth_1"].outputs) == sorted(
        ["sequence_output", "embedding_output", "encoder_outputs_0", "encoder_outputs_1"]
    )
    depths = {name: signature.depth for name, signature in found.extra.items()}
    assert depths == {"taps": None, "text": 2, "depth_1": 1, "entering": 1, "first": 1, "second": 2}


def test_a_source_without_a_pooled_output_has_none_to_compose(outputs, refused):
    assert "there is no output pooled_output" in refused("hf_electra", signatures=["probe=pooled_output"]).message
    assert sorted(outputs("hf_electra", depths=[1]).extra["depth_1"].outputs) == sorted(
        ["sequence_output", "embedding_output", "encoder_outputs_0"]
    )


def test_weights_go_by_the_order_in_which_layers_are_typed(outputs):
    feature = outputs(features=["text=0.25,0.75@-1,0"]).features["text"]
    assert feature.weights == (0.25, 0.75)
    assert feature.states == ("encoder_outputs_2", "encoder_outputs_0")


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("g4_bert_mlm", ("embedding_output", *THREE)),
        # Its list of block outputs begins with the embedding.
        ("g4_mobilebert", ("embedding_output", *(f"encoder_outputs_{number}" for number in (1, 2, 3)))),
    ],
)
def test_hidden_states_are_hugging_face_s_embedding_first_and_numbered_as_its_tuple(name, states, outputs):
    found = outputs(name, signatures=["hidden_states", "both=hidden_states_0,hidden_states_3"])
    assert found.features["hidden_states"].states == states
    four = tuple(f"hidden_states_{number}" for number in range(4))
    assert found.extra == {"hidden_states": signature(four), "both": signature((four[0], four[3]))}
    assert outputs(name, signatures="hidden_states").request.short == Request(signatures=("hidden_states",))


def test_hidden_states_may_be_composed_otherwise_and_share_no_name(outputs, refused):
    assert outputs(signatures=["hidden_states=pooled_output"]).extra == {
        "hidden_states": signature(("pooled_output",), packed=True)
    }
    twice = {"signatures": "hidden_states", "features": "hidden_states=mean"}
    assert "--feature hidden_states=mean: there is a feature hidden_states already" in refused(**twice).message
    entry = {"signatures": "hidden_states", "features": "hidden_states_1=mean"}
    assert "there is an output hidden_states_1 already" in refused(**entry).message


def test_two_features_cannot_have_one_output(refused):
    assert "there is an output f_0 already" in refused(features=["f=none@0", "f_0=mean"]).message


@pytest.mark.parametrize("spelled", ["f=mean@", "f=mean@/mean", "f=mean/"])
def test_a_feature_with_nothing_behind_its_sign_is_refused(spelled, refused):
    assert "expected NAME=MIX@LAYERS/POOLING" in refused(features=[spelled]).message


@pytest.mark.parametrize("layers", ["::0", "::00", "::-0"])
def test_a_step_of_zero_is_refused_however_it_is_written(layers, refused):
    assert "step cannot be 0" in refused(layers=layers).message


@pytest.mark.parametrize("depth", ["2", 1.0, True])
def test_a_depth_that_is_no_number_is_refused(depth, refused):
    assert "expected 1 to" in refused(depths=[depth]).message


@pytest.mark.parametrize(
    ("feature", "short"),
    [
        (Feature("text", mix="mean", layers="-2:", pooling="mean"), "text=mean@-2:/mean"),
        (Feature("text", mix="sum"), "text=sum"),
        (Feature("text", mix="none", layers=-1, pooling="cls"), "text=none@-1/cls"),
        (Feature("text", mix=(0.25, -0.75), layers=(1, 0)), "text=0.25,-0.75@1,0"),
        (Feature("text", mix=[1e-3], layers=[1], pooling="max"), "text=0.001@1/max"),
        (Feature("text", mix="concat", layers=["embedding", 0, -1]), "text=concat@embedding,0,-1"),
    ],
    ids=str,
)
def test_a_feature_as_an_object_is_the_feature_of_its_short_form(feature, short, outputs):
    assert feature.short == short
    assert outputs(features=feature).features == outputs(features=[short]).features


def test_one_of_a_kind_needs_no_list_and_a_string_is_never_its_letters(outputs):
    one = outputs(taps="query@0", features="text=mean", depths=1, signatures="probe=query_0")
    listed = outputs(taps=["query@0"], features=["text=mean"], depths=[1], signatures=["probe=query_0"])
    assert one == listed
    assert outputs(taps=Tap("query", layers=0)).taps == listed.taps


def test_composed_signatures_may_be_given_by_name(outputs):
    named = outputs(taps="query", signatures={"probe": ["query_0", "pooled_output"], "alone": "query_1"})
    assert named.extra["probe"] == signature(("query_0", "pooled_output"))
    assert named.extra["alone"] == signature(("query_1",), 2)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"taps": "query@9"}, "taps='query@9': there is no block 9"),
        ({"layers": "9"}, "layers='9': there is no block 9"),
        ({"layers": 9}, "layers='9': there is no block 9"),
        ({"features": "text=avg"}, "features='text=avg': there is no mix 'avg'"),
        ({"features": Feature("text", mix=[0.5], layers=":2")}, "features=Feature(name='text', mix=[0.5], layers=':2'"),
        ({"features": Feature("text", mix=None)}, "features=Feature(name='text', mix=None"),
        ({"features": 3}, "features=3: expected NAME=MIX@LAYERS/POOLING"),
        ({"features": "taps=mean"}, "features='taps=…': there is a signature taps already"),
        ({"depths": 4}, "depths=4: the encoder has 3 blocks, expected 1 to 3"),
        ({"depths": "4"}, "depths='4': the encoder has 3 blocks"),
        ({"depths": [[1]]}, "depths=[1]: the encoder has 3 blocks"),
        ({"signatures": {"probe": "query_0"}}, "signatures='probe=query_0': there is no output query_0"),
        ({"signatures": 3}, "signatures=3: expected NAME=OUTPUT,OUTPUT"),
    ],
    ids=str,
)
def test_in_python_an_error_names_the_argument(request_, message, outputs):
    with pytest.raises(UsageError) as caught:
        outputs(**request_)
    assert caught.value.message.startswith(message)
    assert str(caught.value).startswith(message)


def test_a_hint_names_arguments_or_options_as_the_message_does(outputs):
    with pytest.raises(UsageError) as caught:
        outputs(signatures="probe=zzz")
    assert caught.value.hint == "taps have to be asked for with taps=..., features with features=..."
    spelled = on_the_command_line(caught.value)
    assert spelled.hint == "taps have to be asked for with --tap, features with --feature"
    assert str(spelled) == f"--signature probe=zzz: there is no output zzz\n  what to do: {spelled.hint}"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"features": ["text=mean"]}, "--feature text=… with --text: the text export has a signature text of its own"),
        ({"features": ["text_pair=mean"]}, "--feature text_pair=… with --text: the text export has a signature"),
        ({"signatures": ["text=pooled_output"]}, "--signature text=… with --text: the text export has a signature"),
        ({"features": ["input_mask=mean"]}, "--feature input_mask=… with --text: the text export has an output"),
    ],
)
def test_a_name_of_the_text_export_is_refused_beside_one_only(request_, message, modules, outputs):
    plan = surgery.plan(modules("g3_small"))
    found = resolve(plan.inference, Request.of(**request_))
    with pytest.raises(UsageError) as caught:
        Texts().check(plan.module, plan.inference, found)
    assert on_the_command_line(caught.value).message.startswith(message)
    assert "vector=" in caught.value.hint
    Texts().check(plan.module, plan.inference, resolve(plan.inference, Request.of(features="vector=mean")))
