"""Archive many logs by Dask workers that are batch jobs of Slurm or PBS.

    pip install dask-jobqueue 'vllm-watch[parquet,cluster]'
    python archive_cluster.py slurm --jobs 4 -o vllm_runs 'pbs_results/*.log'

Run it where jobs can be submitted; the nodes must see the logs and the archive under the same
paths. Queue, account and whatever else your site asks for stand in ~/.config/dask/jobqueue.yaml
(https://jobqueue.dask.org).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import dask_jobqueue

CLUSTERS = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}


def main() -> int:
    """Start the workers, let them archive, end their jobs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("system", choices=CLUSTERS)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=2, help="batch jobs, two workers each")
    parser.add_argument("--walltime", default="01:00:00")
    given = parser.parse_args()
    with CLUSTERS[given.system](
        cores=2, processes=2, memory="4GB", walltime=given.walltime, python=sys.executable
    ) as cluster:
        cluster.scale(jobs=given.jobs)
        output = os.path.abspath(given.output)  # workers may run in another folder
        archive = [sys.executable, "-m", "vllm_watch", "archive", "-o", output]
        paths = [os.path.abspath(path) for path in given.paths]
        return subprocess.run(
            [*archive, "--dask", cluster.scheduler_address, *paths], check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
