from __future__ import annotations

from tests.parsing.scanning import scanner
from vllm_watch.core.records import Event
from vllm_watch.parsing.secrets import without_secrets

ARGS = (
    b"(APIServer pid=1) INFO 11-23 08:52:30 [api_utils.py:273] non-default args: "
    b"{'model_tag': '/models/M', 'port': 8001, 'api_key': ['sk-12345', 'sk-9'], "
    b"'hf_token': 'hf_abc', 'max_num_seqs': 512, 'tokenizer': 'T'}\n"
)


def test_keys_and_tokens_of_the_flags_are_kept_nowhere() -> None:
    (event,) = scanner().scan(ARGS).records
    assert isinstance(event, Event)
    whole = repr(event)
    assert "sk-" not in whole
    assert "hf_abc" not in whole
    args = event.fields["args"]
    assert isinstance(args, dict)
    assert (args["api_key"], args["max_num_seqs"], args["tokenizer"]) == ("***", 512, "T")


def test_what_is_no_secret_stays() -> None:
    text = "tokens: '7', max_num_batched_tokens=2048, tokenizer='T', prompt: 'token'"
    assert without_secrets(text) == text
    assert without_secrets("Namespace(api_key='x', port=1)") == "Namespace(api_key='***', port=1)"
