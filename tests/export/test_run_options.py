"""The options of `mm-train` follow from the fields of the models."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from makemore_export.commands.run_planning import planned
from makemore_export.commands.train import main as mm_train
from makemore_export.data.text import read_text
from makemore_export.models import MODELS
from makemore_export.training import presets
from makemore_export.training.choices import flag, options_of

A_NEW_MODEL = """
from typing import Annotated
from msgspec import Meta
from makemore_export.configs import CONFIGS, ModelConfig

class SharpConfig(ModelConfig, frozen=True, kw_only=True):
    sharpness: Annotated[float, Meta(ge=0, description="How sure it is.")] = 1.0
    bare: int = 3

CONFIGS["sharp"] = SharpConfig
from makemore_export.commands.train import main
main(["--help"])
"""


def test_a_field_of_a_new_model_is_an_option_with_its_description():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", A_NEW_MODEL],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "--sharpness FLOAT How sure it is." in lines
    assert "--bare INT" in lines


def test_every_option_of_every_model_has_a_help():
    parameters = mm_train.get_params(click.Context(mm_train, help_option_names=["-h", "--help"]))
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    helps = {name: option.help for option in options for name in option.opts}
    for model in MODELS:
        for name in options_of(model):
            assert helps["--part" if name == "parts" else flag(name)], name


@pytest.mark.parametrize(("lines", "dropout"), [(7, 0.2), (8, 0.0)])
def test_a_preset_is_chosen_by_the_different_lines_of_a_text(tmp_path, monkeypatch, lines, dropout):
    monkeypatch.setattr(presets, "LARGE", 8)
    (tmp_path / "text.txt").write_text("".join(f"{chr(97 + i % lines)}\n" for i in range(20)))
    text, split = read_text(tmp_path / "text.txt"), (100, 0, 0)
    run, _ = planned(text, {"split": split}, None)
    lstm = run.config["parts"][0]
    assert (lstm["model"], lstm["config"]["dropout"]) == ("lstm", dropout)
    named, _ = planned(text, {"preset": "fast", "split": split}, None)
    assert named.config["parts"][0]["config"]["dropout"] == 0.2
