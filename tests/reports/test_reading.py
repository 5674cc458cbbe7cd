from __future__ import annotations

from pathlib import Path

import pytest

from tests.logs import FIXTURES, formats, log_of
from vllm_watch.config import ServerSettings, Settings
from vllm_watch.core.dataclass import replace
from vllm_watch.reports.pagehead import tiles
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.runplots import plots_of
from vllm_watch.reports.snapshot import snapshot_of
from vllm_watch.reports.summary import summary_of
from vllm_watch.reports.unknowns import unknowns_of


def test_a_saved_log_is_read_to_its_end_and_judged_there() -> None:
    folder = FIXTURES / "h100_saturated_then_killed"
    reading = read_saved([str(folder / "*.log")], formats(), Settings())
    (server,) = reading.servers
    assert reading.health(server).state.name == "dead"
    found = {finding.id: finding for finding in reading.findings(server, server.run)}
    # KV 99 % from the line of 08:54:50 to the last one: it never resolved. What binds explains it.
    (full,) = (one for one in found["kv-cache-binds"].explains if one.id == "kv-cache-critical")
    assert full.until is None
    assert "server-dead" in found
    assert reading.troubles == []


def test_unreadable_files_are_reported_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    reading = read_saved([str(tmp_path / "b.log")], formats(), Settings())
    assert reading.servers == []
    assert reading.found.missing == (str(tmp_path / "b.log"),)


@pytest.mark.parametrize(
    ("logged", "given", "limit"), [(32, None, 64), (32, 8, 64), (None, 8, 16), (None, None, None)]
)
def test_every_report_has_the_same_batch_limit(
    logged: int | None, given: int | None, limit: int | None
) -> None:
    """Two engines: `max_num_seqs` of their log counts before a setting, for each of them."""
    servers = (ServerSettings("*", given),)
    log = str(log_of("cpu_two_engines"))
    reading = read_saved([log], formats(), Settings(servers=servers))
    (server,) = reading.servers
    assert server.run.configuration.max_num_seqs == 32
    server.run.configuration = replace(server.run.configuration, max_num_seqs=logged)
    summary, monitor = summary_of(reading, server), reading.monitor
    assert summary.batch_limit == limit
    assert (f"of {limit}" in tiles(summary)) == (limit is not None)
    plot = next(plot for plot in plots_of(server, server.run, monitor) if plot.title == "Requests")
    assert plot.note == ("" if limit is None else f"limit {limit}")
    now = snapshot_of(monitor, server, reading.wall, saved=True, trouble="")
    assert now.limit == limit
    unknown = {one.what for one in unknowns_of(summary)}
    assert ("max_num_seqs" in unknown) == (limit is None)


def test_rules_take_the_batch_limit_of_the_log_before_a_setting() -> None:
    for capture, limit in (("cpu_two_engines", 32), ("h100_baseline_eager", 8)):
        log = str(log_of(capture))
        reading = read_saved([log], formats(), Settings(servers=(ServerSettings("*", 8),)))
        (server,) = reading.servers
        assert reading.monitor.case(server, server.run).facts["max_num_seqs"] == limit
