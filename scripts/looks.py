"""Pictures of every screen at every size, for looking at: `python -m scripts.looks -o FOLDER`.

    python -m scripts.looks -o /tmp/looks --only chart,compare --size 80x24

The real program runs in tmux on captures, and on fleets that are written for it: large ones, names
of 200 characters, wide characters, 64 engines, extreme numbers. Each scene is one start, resized
from picture to picture; `sheet-SIZE.png` shows all pictures of a size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from scripts.picture import SETTLE, Size, Terminal, draw

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "vllm_watch"]
PATIENCE = 30.0
"""Seconds that the first frame may take."""
SIZES = ((40, 10), (80, 24), (120, 40), (200, 50))
_LINE = (
    "(APIServer pid=1) INFO {stamp} [loggers.py:310] Engine {engine:03d}: Avg prompt throughput: "
    "{prompt:.4f} tokens/s, Avg generation throughput: {generation:.4f} tokens/s, Running: "
    "{running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: {kv:.1f}%, "
    "Prefix cache hit rate: {hits:.1f}%\n"
)


@dataclass(frozen=True)
class Scene:
    """A start of the program, and the steps before its picture."""

    words: str
    """Arguments; `{fleet}` is a folder of the written fleet of that name."""
    keys: str = ""
    """Keys by tmux's names, parted by blanks."""
    wait: float = 3.0
    """Seconds before the keys."""
    settings: str = ""
    """Variables of the environment, parted by blanks."""
    each: bool = False
    """Whether the program is started anew for each size, because the moment matters."""


_SATURATED = "replay fixtures/logs/h100_saturated_then_killed --start {at} --speed 1"
BUSY = _SATURATED.format(at="08:51:05")
DEMO_MOMENT = 9.5
SCENES = {
    "demo-2s": Scene("demo", wait=2.0, each=True),
    "demo-busy": Scene("demo", "Space", wait=DEMO_MOMENT),
    "saturated": Scene(BUSY, "Space"),
    "dead": Scene(_SATURATED.format(at="08:51:38"), "Space", wait=8.0),
    "starting": Scene(_SATURATED.format(at="08:49:30"), "Space"),
    "idle": Scene("replay fixtures/logs/h100_optimised/*.log --start 08:54:05 --speed 1", "Space"),
    "no-stats": Scene("watch {silent} --tz UTC"),
    "one": Scene("watch {one} --tz UTC"),
    "300": Scene("watch {many} --tz UTC", wait=8.0),
    "compare": Scene("demo", "Space c Down Enter", wait=DEMO_MOMENT),
    "server": Scene("demo", "Space Enter", wait=DEMO_MOMENT),
    "log": Scene("demo", "Space l", wait=DEMO_MOMENT),
    "chart": Scene("demo", "Space z", wait=DEMO_MOMENT),
    "events": Scene("demo", "Space Tab", wait=DEMO_MOMENT),
    "findings": Scene("demo", "Space f", wait=DEMO_MOMENT),
    "help": Scene("demo", "Space ?", wait=DEMO_MOMENT),
    "palette": Scene("demo", "Space C-p", wait=DEMO_MOMENT),
    "errors": Scene("demo", "Space x", wait=DEMO_MOMENT),
    "calculators": Scene("demo", "Space n", wait=DEMO_MOMENT),
    "cursor": Scene(BUSY, "Space S-Left S-Left S-Left S-Left S-Left"),
    "light": Scene("demo", "Space", DEMO_MOMENT, "VLLM_WATCH_SCREEN_THEME=vllm-watch-day"),
    "contrast": Scene("demo", "Space", DEMO_MOMENT, "VLLM_WATCH_SCREEN_THEME=vllm-watch-contrast"),
    "solarized": Scene("demo", "Space", DEMO_MOMENT, "VLLM_WATCH_SCREEN_THEME=solarized-light"),
    "16-colours": Scene("demo", "Space", DEMO_MOMENT, "TERM=xterm COLORTERM="),
    "no-colour": Scene("demo", "Space", DEMO_MOMENT, "NO_COLOR=1"),
    "ascii": Scene("demo", "Space", DEMO_MOMENT, "VLLM_WATCH_SCREEN_GLYPHS=ascii"),
    "names": Scene("watch {names} --tz UTC", wait=4.0),
    "names-server": Scene("watch {names} --tz UTC", "Enter", wait=4.0),
    "names-compare": Scene("watch {names} --tz UTC", "c Enter", wait=4.0),
    "names-log": Scene("watch {names} --tz UTC", "l", wait=4.0),
    "names-palette": Scene("watch {names} --tz UTC", "C-p S e r v e r", wait=4.0),
    "engines": Scene("watch {engines} --tz UTC", "e", wait=4.0),
    "engines-server": Scene("watch {engines} --tz UTC", "Enter", wait=4.0),
    "engines-chart": Scene("watch {engines} --tz UTC", "z m m", wait=4.0),
    "numbers": Scene("watch {numbers} --tz UTC", wait=4.0),
    "numbers-server": Scene("watch {numbers} --tz UTC", "Enter", wait=4.0),
    "numbers-chart": Scene("watch {numbers} --tz UTC", "z", wait=4.0),
    "500": Scene("watch {large} --tz UTC", wait=10.0),
    "300-folded": Scene("watch {many} --tz UTC", "v", wait=8.0),
}


# --- the fleets that are written --------------------------------------------------------------


def _server(path: Path, model: str, port: int, **values: object) -> None:
    """Write the log of a server that has been up for fifteen minutes."""
    now, engines = time.time(), int(str(values.pop("engines", 1)))
    with path.open("w", encoding="utf-8") as log:
        stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime(now - 905))
        log.write(
            f"INFO {stamp} [utils.py:1] non-default args: "
            f"{{'model': '/models/{model}', 'port': {port}, 'max_num_seqs': 256}}\n"
        )
        for ago in range(900, 0, -10):
            stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime(now - ago))
            for engine in range(engines):
                wave = ((ago // 10 + port) * 37 + engine * 11) % 50
                told: dict[str, object] = {
                    "prompt": 900.0 + wave, "generation": 1000.0 + 20 * wave, "running": 64 + wave,
                    "waiting": 0, "kv": 40.0 + wave / 3, "hits": 30.0,
                }  # fmt: skip
                log.write(_LINE.format(stamp=stamp, engine=engine, **{**told, **values}))


def _silent(path: Path) -> None:
    """Write the log of a server that writes no stats lines, only answers."""
    now = time.time()
    with path.open("w", encoding="utf-8") as log:
        stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime(now - 300))
        args = "{'model': '/models/Llama-3.1-70B', 'port': 8006, 'api_server_count': 4}"
        log.write(f"INFO {stamp} [utils.py:1] non-default args: {args}\n")
        log.write(f"INFO {stamp} [api_server.py:1] Starting vLLM API server 0 on http://0:8006\n")
        log.write("INFO:     Application startup complete.\n")
        for number in range(3000):
            log.write(f'INFO:     10.0.0.1:{number} - "POST /v1/completions HTTP/1.1" 200 OK\n')


def _many(folder: Path, servers: int) -> None:
    models = ("Llama-3.1-8B", "Mistral-Large-2411", "Qwen3-32B", "gpt-oss-120b", "DeepSeek-R1")
    for number in range(servers):
        model, sick = models[number % len(models)], number % 29 == 3
        more = {"waiting": 120, "kv": 99.5} if sick else {}
        _server(folder / f"{model}_port{8000 + number}.log", model, 8000 + number, **more)


def _names(folder: Path) -> None:
    models = (
        "x" * 200, "研究所大規模言語模型" * 4, "e\u0301a\u0308o\u0302" * 12,
        "🚀👩\u200d🔬model-with-emoji",
        "Some-Very-Long-Model-Name-Instruct-AWQ-INT4-" * 4 + "end", "short",
    )  # fmt: skip
    for number, model in enumerate(models):
        sick = {"waiting": 120, "kv": 99.5} if number < 2 else {}
        _server(folder / f"server{number}_port{8000 + number}.log", model, 8000 + number, **sick)


def fleets(folder: Path) -> dict[str, str]:
    """Write all fleets below a folder; return their folders by name."""
    places = {name: folder / name for name in (
        "silent", "one", "many", "names", "engines", "numbers", "large",
    )}  # fmt: skip
    for place in places.values():
        place.mkdir(parents=True)
    _silent(places["silent"] / "Llama_port8006.log")
    _server(places["one"] / "Qwen3-32B_port8000.log", "Qwen3-32B", 8000)
    _many(places["many"], 300)
    _many(places["large"], 500)
    _names(places["names"])
    _server(places["engines"] / "Wide_port8000.log", "Wide-EP", 8000, engines=64)
    huge = {"prompt": 1e9, "generation": 1e9, "running": 10**9, "waiting": 10**9, "kv": 100.0}
    tiny = {"prompt": 0.0001, "generation": 0.0001, "running": 1, "kv": 0.1, "hits": 0.1}
    _server(places["numbers"] / "Huge_port8000.log", "Huge", 8000, **huge)
    _server(places["numbers"] / "Tiny_port8001.log", "Tiny", 8001, **tiny)
    return {name: str(place) for name, place in places.items()}


# --- the pictures -----------------------------------------------------------------------------


class Resizable(Terminal):
    """A terminal that gets other sizes."""

    def resize(self, size: Size) -> None:
        """Give it another size."""
        self._tmux("resize-window", f"-x{size[0]}", f"-y{size[1]}")


def shots(scene: Scene, sizes: tuple[Size, ...], places: dict[str, str]) -> Iterator[Image.Image]:
    """Yield the pictures of a scene, one for each size."""
    terminal = _start(scene, sizes[0], places)
    try:
        for number, size in enumerate(sizes):
            if number and scene.each:
                terminal.close()
                terminal = _start(scene, size, places)
            terminal.resize(size)
            time.sleep(1.2 if number and not scene.each else SETTLE)
            yield draw(terminal.screen(), size)
            if terminal.ended():
                print(f"  ended with status {terminal.ended()}", file=sys.stderr)
    finally:
        terminal.close()


def _start(scene: Scene, size: Size, places: dict[str, str]) -> Resizable:
    words = [word for text in scene.words.split() for word in _paths(text.format(**places))]
    own = ["env", f"XDG_STATE_HOME={places['one']}-state", *scene.settings.split()]
    terminal = Resizable(size, [*own, *PROGRAM, *words])
    if not scene.each:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and "q quit" not in terminal.screen(colours=False):
            time.sleep(0.3)
    time.sleep(scene.wait)
    for key in scene.keys.split():
        terminal.keys(key)
        time.sleep(SETTLE)
    time.sleep(0.0 if scene.each else 1.0)
    return terminal


def _paths(word: str) -> list[str]:
    return sorted(map(str, ROOT.glob(word))) if "*" in word else [word]


def sheet(pictures: dict[str, Image.Image], columns: int) -> Image.Image:
    """Return pictures of one size beside and below each other, each under its name."""
    wide = max(one.width for one in pictures.values()) + 6
    high = max(one.height for one in pictures.values()) + 20
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * wide, rows * high), "#444444")
    pen = ImageDraw.Draw(whole)
    for place, (name, picture) in enumerate(pictures.items()):
        x, y = place % columns * wide, place // columns * high
        pen.text((x + 4, y + 3), name, fill="white")
        whole.paste(picture, (x, y + 18))
    return whole


def main() -> int:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", default="", help="names of scenes, parted by commas")
    parser.add_argument("--size", action="append", default=[], metavar="80x24")
    options = parser.parse_args()
    sizes: tuple[Size, ...] = (
        tuple(
            (int(wide), int(high))
            for wide, _, high in (text.partition("x") for text in options.size)
        )
        or SIZES
    )
    wanted = options.only.split(",") if options.only else list(SCENES)
    taken: dict[Size, dict[str, Image.Image]] = {size: {} for size in sizes}
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="looks-") as folder:
        for name in wanted:
            places = fleets(Path(folder) / name)  # anew: live logs get old
            print(name, flush=True)
            for size, picture in zip(sizes, shots(SCENES[name], sizes, places), strict=True):
                picture.save(options.output / f"{name}-{size[0]}x{size[1]}.png")
                taken[size][name] = picture
    for (wide, high), pictures in taken.items():
        columns = max(1, 2400 // (wide * 10))
        sheet(pictures, columns).save(options.output / f"sheet-{wide}x{high}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
