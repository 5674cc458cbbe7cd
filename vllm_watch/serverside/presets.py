"""The documented flags for a model's size and a number of GPUs; the data is in a file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import counted
from vllm_watch.core.hints import Any

PRESET_FILE = Path(__file__).with_name("presets.toml")


class PresetError(Exception):
    """Flags that are unknown; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of the table."""

    name: str
    sizes: str
    """The sizes of models that the preset is for, in words."""
    below_billions: float | None
    """For models below so many billion parameters, None: no limit; 0: not chosen by size."""
    tensor_parallel: int
    """GPUs that share one copy of the model; 0 leaves that to vLLM."""
    flags: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain that the guide reports for a preset."""

    what: str
    metric: str
    """Its name among the quantities of `compare`."""
    factor: str
    """`4–5×`, empty if the guide has none."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """A preset for a number of GPUs."""

    preset: Preset
    gpus: int
    share: int
    """GPUs that share one copy of the model."""
    flags: tuple[str, ...]
    """Complete words of vLLM's command line: `--max-num-seqs 256`."""
    unused: int
    """GPUs that are not used."""
    note: str
    """The reason if the model does not fit, else empty."""


@dataclass(frozen=True, slots=True)
class PresetTable:
    """All of the file."""

    source: str
    """The guide from which the table comes."""
    default_gpus: int
    presets: tuple[Preset, ...]
    gains: tuple[Gain, ...]

    def named(self, name: str) -> Preset:
        """Return a preset by its name.

        Raises:
            PresetError: there is none of that name.
        """
        for preset in self.presets:
            if preset.name == name:
                return preset
        known = ", ".join(preset.name for preset in self.presets)
        raise PresetError(f"no preset {name!r}; there are {known}, and auto (by the model's name)")

    def for_size(self, billions: float) -> Preset:
        """Return the preset for a model of so many billion parameters."""
        return next(
            preset
            for preset in self.presets
            if preset.below_billions is None or billions < preset.below_billions
        )


@cache
def preset_table() -> PresetTable:
    """Return the table, read once."""
    table: dict[str, Any] = tomllib.loads(PRESET_FILE.read_text(encoding="utf-8"))
    presets = tuple(
        Preset(**{"below_billions": None, **entry, "flags": tuple(entry["flags"])})
        for entry in table["preset"]
    )
    gains = tuple(Gain(**entry) for entry in table["gain"])
    return PresetTable(table["source"], table["default_gpus"], presets, gains)


def preset_words(billions: float, gpus: int) -> str:
    """Return the preset for a model of a size on so many GPUs in words, with its flags."""
    table = preset_table()
    one = fitted(table.for_size(billions), gpus)
    on = f"on {counted(gpus, 'GPU')}"
    free = (
        f"; {one.unused} of them {'stays' if one.unused == 1 else 'stay'} free"
        if one.unused
        else ""
    )
    return f"preset {one.preset.name} ({one.preset.sizes}) {on}: {' '.join(one.flags)}{free}"


def fitted(preset: Preset, gpus: int) -> Fitted:
    """Return a preset's flags for a number of GPUs.

    Data parallelism uses the GPUs that tensor parallelism leaves; a remainder stays unused.

    Raises:
        PresetError: there is no GPU.
    """
    if gpus < 1:
        raise PresetError(f"--gpus {gpus}: there must be at least one GPU")
    if not preset.tensor_parallel:
        return Fitted(preset, gpus, 1, preset.flags, 0, "")
    tensor, note = preset.tensor_parallel, ""
    if tensor > gpus:
        tensor = 1 << (gpus.bit_length() - 1)
        note = (
            f"the guide uses {preset.tensor_parallel} GPUs for such a model: "
            "check whether it fits on fewer, or quantise it"
        )
    data = gpus // tensor
    parallel = []
    if tensor > 1:
        parallel.append(f"--tensor-parallel-size {tensor}")
    if data > 1:
        parallel.append(f"--data-parallel-size {data}")
    unused = gpus - tensor * data
    return Fitted(preset, gpus, tensor, (*parallel, *preset.flags), unused, note)
