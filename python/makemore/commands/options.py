"""The options that several commands of the runtime share."""

from __future__ import annotations

from pathlib import Path

import click

from makemore.runtime.device_sampler import CUDA_BATCH_SIZE
from makemore.sampler import BATCH_SIZE

artifact_argument = click.argument("artifact", type=click.Path(path_type=Path))
device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True
)
threads_option = click.option("--threads", type=int, help="Batches at once.  [default: all cores]")
batch_size_option = click.option(
    "--batch-size",
    type=int,
    help=f"Rows decoded together.  [default: {BATCH_SIZE:,}; samples on CUDA: {CUDA_BATCH_SIZE:,}]",
)
