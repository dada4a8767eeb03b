"""The documents: links lead somewhere, and the options they name exist."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "benchmarks/recipes.md",
]
COMMANDS = {
    point.name: {
        option
        for command in [point.load()]
        for parameter in command.get_params(
            click.Context(command, help_option_names=["-h", "--help"])
        )
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for point in entry_points(group="console_scripts")
    if point.name.startswith("mm-")
}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def anchors(page):
    """What GitHub makes of the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    text = re.sub(r"(`+).*?\1", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_of_a_command_that_is_named_exists(page):
    for line in page.read_text(encoding="utf-8").splitlines():
        for part in re.split(r"&&|;|\. ", line):
            named = [options for name, options in COMMANDS.items() if name in part]
            for option in OPTION.findall(part) if named else ():
                assert any(option in options for options in named), (option, part)
