"""What people type or copy for a module that lies elsewhere, and what it is: no network, no library."""

from __future__ import annotations

import pytest

import surgery
from surgery.errors import ModuleError
from surgery.sources.handles import HUB, HUGGING_FACE, KAGGLE, handle_of, without_secrets
from surgery.sources.location import locate, module_name

BERT = "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12"
PAGE = "https://www.kaggle.com/models/"


@pytest.mark.parametrize(
    ("typed", "library", "address", "revision", "name"),
    [
        ("https://tfhub.dev/google/small/1", HUB, "https://tfhub.dev/google/small/1", None, "small"),
        ("tfhub.dev/google/small/1", HUB, "https://tfhub.dev/google/small/1", None, "small"),
        ("TFHub.dev/google/small/1?x=1", HUB, "https://TFHub.dev/google/small/1?x=1", None, "small"),
        ("gs://bucket/bert.tar.gz", HUB, "gs://bucket/bert.tar.gz", None, "bert"),
        (f"kaggle://{BERT}", KAGGLE, BERT, None, "bert_en-uncased-l-12-h-768-a-12"),
        (f"kaggle://{BERT}/3", KAGGLE, f"{BERT}/3", None, "bert_en-uncased-l-12-h-768-a-12"),
        (f"{PAGE}{BERT}/3", KAGGLE, f"{BERT}/3", None, "bert_en-uncased-l-12-h-768-a-12"),
        (f"{PAGE}{BERT}?tfhub-redirect=true#use", KAGGLE, BERT, None, "bert_en-uncased-l-12-h-768-a-12"),
        (f"kaggle.com/models/{BERT}/", KAGGLE, BERT, None, "bert_en-uncased-l-12-h-768-a-12"),
        ("kaggle://us/bert/TensorFlow2/bert-small/1", KAGGLE, "us/bert/tensorFlow2/bert-small/1", None, "bert-small"),
        (
            f"{PAGE}us/bert/frameworks/tensorflow2/variations/small/versions/2",
            KAGGLE,
            "us/bert/tensorFlow2/small/2",
            None,
            "bert_small",
        ),
        ("google-bert/bert-base-uncased", HUGGING_FACE, "google-bert/bert-base-uncased", None, "bert-base-uncased"),
        ("google-bert/bert@v1.0", HUGGING_FACE, "google-bert/bert", "v1.0", "bert"),
        ("hf://google-bert/bert", HUGGING_FACE, "google-bert/bert", None, "bert"),
        ("hf://google-bert/bert@refs/pr/7", HUGGING_FACE, "google-bert/bert", "refs/pr/7", "bert"),
        ("hf://google-bert/bert@feature/new/", HUGGING_FACE, "google-bert/bert", "feature/new", "bert"),
        ("hf://bert-base-uncased", HUGGING_FACE, "bert-base-uncased", None, "bert-base-uncased"),
        ("https://huggingface.co/google-bert/bert", HUGGING_FACE, "google-bert/bert", None, "bert"),
        ("huggingface.co/google-bert/bert/", HUGGING_FACE, "google-bert/bert", None, "bert"),
        ("https://hf.co/google-bert/bert/tree/refs%2Fpr%2F7", HUGGING_FACE, "google-bert/bert", "refs/pr/7", "bert"),
        ("https://huggingface.co/us/b/blob/main/config.json", HUGGING_FACE, "us/b", "main", "b"),
    ],
)
def test_a_handle_is_known_however_it_is_written(typed, library, address, revision, name):
    found = handle_of(typed)
    assert (found.library, found.address, found.revision, found.name) == (library, address, revision, name)
    assert found.plain == ("://" not in typed)
    assert module_name(typed) == name


@pytest.mark.parametrize(
    "typed",
    ["bert", "./us/bert", "/us/bert", "us/bert/1", "us/1", "us/bert.tar.gz", "us/best.keras", "~/bert", "a b/c"],
)
def test_a_path_is_no_handle(typed):
    assert handle_of(typed) is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            "kaggle://tensorflow/bert",
            "expected kaggle://OWNER/MODEL/FRAMEWORK/VARIATION/VERSION, found tensorflow/bert",
        ),
        (f"{PAGE}tensorflow/bert", "expected kaggle://OWNER.*found tensorflow/bert.*choose the framework"),
        (f"kaggle://{BERT}/latest", "expected kaggle://OWNER"),
        ("https://www.kaggle.com/datasets/us/texts", "a page of Kaggle, but of no model"),
        ("kaggle://us/bert/tflite/small", "models of tfLite have lost their variables.*tensorFlow2 on https"),
        ("hf://datasets/us/texts", "no model of Hugging Face"),
        ("hf://us/bert@", "no model of Hugging Face"),
        ("hf://us/bert@../main", "no model of Hugging Face"),
        ("https://huggingface.co/us/a/b/c", "no model of Hugging Face"),
    ],
)
def test_a_page_of_something_else_is_refused_before_anything_is_fetched(typed, message):
    with pytest.raises(ModuleError, match=f"(?s){message}"):
        surgery.inspect(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "https://www.kaggle.com/datasets/us/texts?token=S3CRET",
        "https://www.kaggle.com/models/us?a=1&token=S3CRET#S3CRET=S3CRET",
        "kaggle://us/bert/tflite/small?token=S3CRET",
        "https://huggingface.co/us/a/b/c?token=S3CRET",
    ],
)
def test_a_refusal_names_no_secret(typed):
    with pytest.raises(ModuleError) as error:
        surgery.inspect(typed)
    assert "=S3CRET" not in str(error.value)


def test_a_password_ends_with_the_last_at_sign():
    text = "GET https://us:a@S3CRET@example.org/x@1/bert?sig=S3CRET&x=S3CRET and http://S3CRET@b.org"
    assert without_secrets(text) == "GET https://example.org/x@1/bert?sig=…&x=… and http://b.org"


@pytest.mark.parametrize("typed", ["hf://bert-base-uncased@v1", "HF://bert-base-uncased@refs/pr/7"])
def test_the_name_of_a_model_before_its_revision_is_no_user(typed):
    assert without_secrets(f"opening {typed}: 404") == f"opening {typed}: 404"
    assert without_secrets("shelf://us:S3CRET@host/x") == "shelf://host/x"


@pytest.mark.parametrize("typed", ["us/bert", "tfhub.dev/us/bert/1", "kaggle.com/models/us", "huggingface.co/us/bert"])
def test_a_folder_of_that_name_wins(typed, tmp_path, monkeypatch):
    (tmp_path / typed).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with locate(typed, with_weights=False) as files:
        assert str(files.folder) == typed
    assert module_name(typed) == ("us" if typed.endswith("us") else "bert")


def test_a_mistyped_path_in_a_folder_that_exists_is_no_id(tmp_path, monkeypatch):
    (tmp_path / "exported" / "bert").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleError, match="opening exported/brt: there is no such folder or file") as caught:
        surgery.inspect("exported/brt")
    assert caught.value.hint.startswith("did you mean exported/bert?")
    assert caught.value.hint.endswith("the model of Hugging Face is hf://exported/brt")
