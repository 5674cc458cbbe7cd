"""The benchmarks' own parts: their drawings and their data."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks import badlogs, biglog, picture, scaling
from benchmarks.live import spread, stats_line
from tests.logs import read, records_in
from vllm_watch.core.records import Sample


def test_the_picture_has_a_chart_for_each_thing_with_all_its_points(tmp_path: Path) -> None:
    path = tmp_path / "cost.svg"
    picture.write(path, {"samples": [(1, 0.5), (2, 1.0)], "engines": [(4, 0.1)]}, "cost")
    drawn = ET.parse(path).getroot()
    circles = [each for each in drawn.iter() if each.tag.endswith("circle")]
    assert len(circles) == 3
    assert [text.text for text in drawn.iter() if text.text in ("samples", "engines")] == [
        "samples",
        "engines",
    ]
    low, high = (float(circle.attrib["cy"]) for circle in circles[:2])
    assert low > high  # half the cost is drawn lower


def test_samples_of_a_large_log_are_counted_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    written, _ = biglog.write(path, 3 << 20, stats=0.02)
    count, seconds = scaling.samples(path, judged=False)
    assert count == written
    assert seconds > 0


def test_a_line_of_the_live_writer_is_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(stats_line(3, 5, sick=True, now=1_763_884_800.0))
    (sample,) = [r for r in records_in(read(path).read_once()) if isinstance(r, Sample)]
    assert (sample.engine, sample.values["waiting"], sample.values["kv_cache_usage"]) == (
        3,
        120,
        0.995,
    )


def test_bad_logs_have_about_the_size_that_was_asked_for(tmp_path: Path) -> None:
    for name, (make, _) in badlogs.BAD.items():
        path = tmp_path / "bad.log"
        make(path, 1 << 20)
        assert 0.5 < path.stat().st_size / (1 << 20) < 2.6, name


def test_the_spread_names_median_95_of_100_and_worst() -> None:
    assert spread([float(n) for n in range(1, 101)]) == (50.5, 96.0, 100.0)
