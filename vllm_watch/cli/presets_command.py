"""`vllm-watch presets`: the documented flags for a model's size, and why."""

from __future__ import annotations

import re

from vllm_watch.cli.parser import Arguments, Parser, whole_number
from vllm_watch.cli.saying import DONE, CommandError, write
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.serverside.presets import Fitted

SCHEMA = 1

EXAMPLE = "vllm-watch presets Qwen/Qwen3-14B --gpus 4"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument(
        "model", nargs="?", metavar="MODEL", help="the model's name, or its size: 7B"
    )
    command.add_argument(
        "--gpus", type=whole_number, metavar="N", help="number of GPUs of the machine (4)"
    )
    command.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: Arguments) -> int:
    """Print the flags for the model, or the whole table."""
    from vllm_watch.serverside.presets import PresetError, fitted, preset_table

    table = preset_table()
    gpus = table.default_gpus if arguments.gpus is None else arguments.gpus
    billions = None
    try:
        if arguments.model is None:
            found = [fitted(preset, gpus) for preset in table.presets]
        else:
            billions = size_of(arguments.model)
            found = [fitted(table.for_size(billions), gpus)]
    except PresetError as error:
        raise CommandError(str(error)) from error
    if arguments.json:
        import json

        write(json.dumps(_json(arguments.model, billions, gpus, found), indent=2))
        return DONE
    for one in found:
        for line in _lines(one, arguments.model, billions):
            write(line)
    write(f"source: {table.source}; its figures for the change from default to small:")
    for gain in table.gains:
        write(f"  {gain.what}: {gain.before} → {gain.after}")
    return DONE


def size_of(model: str, fix: str = "give the size instead, such as 7B or 30B") -> float:
    """Return a model's size in billions of parameters; a bare size (`7B`) works, too.

    `fix`: what to do if the name does not have it.

    Raises:
        PresetError: the name does not have the size.
    """
    from vllm_watch.health.startupfacts import model_billions
    from vllm_watch.serverside.presets import PresetError

    billions = model_billions(model.rsplit("/", 1)[-1])
    if billions is not None and billions <= 0:
        raise PresetError(f"{model}: a size must be above 0, such as 7B or 30B")
    if billions is None:
        raise PresetError(f"{model}: its name has no size; {fix}")
    return billions


def active_size_of(model: str) -> float | None:
    """Return the active part of a mixture of experts in billions, None for other models.

    It follows the size in the model's name: `30B-A3B`.
    """
    found = re.search(r"(?<![A-Za-z0-9])A(\d{1,3}(?:\.\d{1,2})?)B(?![A-Za-z0-9])", model)
    return float(found[1]) if found else None


def _lines(one: Fitted, model: str | None, billions: float | None) -> list[str]:
    from vllm_watch.core.figures import counted

    name = f"{one.preset.name} ({one.preset.sizes})"
    head = name
    if model is not None:
        active = active_size_of(model)
        part = f" ({active:g}B of them active: all must fit)" if active is not None else ""
        size = f"{billions:g}B"
        known = size if model.strip().upper() == size else f"{model}: {size}"
        head = f"{known}{part}, {name}"
    lines = [f"{head}, on {counted(one.gpus, 'GPU')}", f"  {' '.join(one.flags) or 'no flags'}"]
    lines.append(f"  why: {one.preset.why}")
    if one.unused:
        stay = "stays" if one.unused == 1 else "stay"
        why = f"each copy of the model takes {one.share}"
        lines.append(f"  {one.unused} of the {one.gpus} GPUs {stay} free: {why}")
    if one.note:
        lines.append(f"  {one.note}")
    return lines


def _json(
    model: str | None, billions: float | None, gpus: int, found: list[Fitted]
) -> dict[str, object]:
    from dataclasses import asdict

    from vllm_watch.serverside.presets import preset_table

    table = preset_table()
    return {
        "schema": SCHEMA,
        "model": model,
        "billions": billions,
        "active_billions": active_size_of(model) if model else None,
        "gpus": gpus,
        "source": table.source,
        "presets": [
            {
                "name": one.preset.name,
                "sizes": one.preset.sizes,
                "flags": list(one.flags),
                "why": one.preset.why,
                "unused_gpus": one.unused,
                "note": one.note or None,
            }
            for one in found
        ],
        "gains": [asdict(gain) for gain in table.gains],
    }
