"""The page of `--web` in Chromium, as a visitor meets it, on loopback."""

import json
import math
import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import makemore
import onnx
import pytest
from commands import run
from makemore.commands.sample import sample as mm_sample
from makemore_export.commands.inspect import main as mm_inspect
from makemore_export.packing.web_page import WEB_FILES
from tiny_artifacts import FOLDER

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = {
    "node": shutil.which("node"),
    "Chromium": CHROMIUM,
    "npm ci in web/": (WEB / "node_modules/playwright-core").exists(),
}
pytestmark = pytest.mark.skipif(
    not all(NEEDED.values()), reason=f"needs {', '.join(k for k, v in NEEDED.items() if not v)}"
)

WRONG = "-\u00e9 it's"
"""Text that the model cannot spell, and that a shell must not take apart."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """The address of a folder on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def visits(folder, *names, prefix="a", wrong=WRONG):
    """What the visits of web/page/browse.mjs saw."""
    with served(folder) as address:
        command = ["node", "page/browse.mjs", address, prefix, wrong, ",".join(names)]
        done = subprocess.run(
            command,
            cwd=WEB,
            env={**os.environ, "CHROMIUM": str(CHROMIUM)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for each in seen.values():
        assert all(request.startswith(address) for request in each["requests"])
    return seen


def site(folder, artifact):
    """A page in a folder of a name that a shell must quote."""
    out = folder / "it's a page"
    shutil.copytree(FOLDER / artifact, out)
    run(mm_inspect, out, "--web", out, "--ort-web", WEB / "node_modules/onnxruntime-web")
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return site(tmp_path_factory.mktemp("characters"), "schema-3/transformer")


@pytest.fixture(scope="module")
def seen(page):
    return visits(page, "reading", "keyboard", "asking", "narrow")


def in_a_terminal(shown, page):
    """The strings of the command that the page shows, run where the page's folder is."""
    program, name, *words = shlex.split(shown["command"])
    assert (program, name) == ("mm-sample", page.name)
    return run(mm_sample, page, *words)[0].splitlines()


def test_the_command_that_is_shown_makes_the_same_strings_in_a_terminal(seen, page):
    asked = [seen["reading"]["first"], seen["reading"]["prefixed"], seen["keyboard"]["drawn"]]
    asked += [seen["asking"][name] for name in ("wildcard", "matching")]
    for shown in asked:
        assert len(shown["samples"]) == 24
        assert shown["samples"] == in_a_terminal(shown, page)
    command = seen["keyboard"]["drawn"]["command"]
    assert "--seed 18446744073709551615" in command
    assert all(flag in command for flag in ("--temperature 0.8", "--top-p 0.9", "--top-k 5"))


def test_the_likeliest_strings_and_next_letters_are_those_of_python(seen, page):
    sampler = makemore.load(page)
    prefixed = seen["reading"]["prefixed"]
    assert prefixed["likely"] == sampler.most_likely(20, prefix="a").strings
    tokens = [each.text or "end" for each in sampler.next_tokens("a")]
    assert prefixed["next"] == [each for each in tokens[:12] if each != "end"]


def test_a_string_has_its_score_and_each_letter_its_probability(seen, page):
    scores = seen["asking"]["scores"]
    string, shown = scores["sample"], scores["known"]
    sampler = makemore.load(page)
    assert f"{sampler.score([string])[0]:.2f} nats".replace("-", "\u2212") in shown["sum"]
    [expected] = sampler.score_tokens([string])
    assert len(shown["tokens"]) == len(string) + 1
    for text, log_prob in zip(shown["tokens"], expected, strict=True):
        if text != "<0.01%":
            assert float(text[:-1]) == pytest.approx(100 * math.exp(log_prob), rel=0.06)


def test_nothing_goes_wrong_and_no_request_leaves_the_origin(seen):
    for name, visit in seen.items():
        assert visit["faults"] == [], name
    names = {request.rsplit("/", 1)[-1] or "index.html" for request in seen["reading"]["requests"]}
    assert names == WEB_FILES | {"model.onnx"}


def test_all_of_the_page_works_with_the_keyboard_alone(seen):
    keyboard = seen["keyboard"]
    assert len(keyboard["text"]) == 2
    assert keyboard["inText"] == "text"  # the letter that was chosen leads back to typing
    assert keyboard["opened"] == keyboard["drawn"]["samples"][1]


def test_a_narrow_window_needs_no_sideways_scrolling(seen):
    assert seen["narrow"]["widths"] == [360, 360]
    assert seen["narrow"]["scrolled"] == 0


def test_axe_finds_no_serious_fault(seen):
    assert seen["reading"]["axe"] == seen["narrow"]["axe"] == []


def test_what_the_model_cannot_spell_is_named(seen):
    asking = seen["asking"]
    assert "character '-' (number 1 of" in asking["refused"]["fault"]
    assert asking["refused"]["samples"] == []
    assert "character '-' (number 1 of" in asking["scores"]["unknown"]["fault"]
    assert asking["blamed"] == ["seed", "string"]
    assert asking["seed"] == "The seed is a whole number from 0 to 2^64 - 1."


def test_any_text_is_one_word_of_the_command(seen):
    assert shlex.split(seen["asking"]["refused"]["command"])[-1] == f"--prefix={WRONG}"


@pytest.mark.parametrize("artifact", ["schema-3/tokens", "schema-2/words", "schema-3/labels"])
def test_words_tokens_and_labels_have_pages_too(artifact, tmp_path):
    page = site(tmp_path, artifact)
    seen = visits(page, "opening")
    assert seen["opening"]["faults"] == []
    shown = seen["opening"]["first"]
    assert shown["samples"] == in_a_terminal(shown, page)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no model", "model.onnx"), (b"", "model.onnx"), (None, "404")],
    ids=["other", "empty", "missing"],
)
def test_a_bad_artifact_is_told_in_the_page(page, content, reason, tmp_path):
    broken = shutil.copytree(page, tmp_path / "broken")
    (broken / "model.onnx").unlink()
    if content is not None:
        (broken / "model.onnx").write_bytes(content)
    assert reason in visits(broken, "broken")["broken"]["message"]


def test_a_model_without_metadata_is_told_in_the_page(page, tmp_path):
    broken = shutil.copytree(page, tmp_path / "broken")
    model = onnx.load(broken / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, broken / "model.onnx")
    message = visits(broken, "broken")["broken"]["message"]
    assert "it has no makemore metadata" in message


@pytest.mark.parametrize("missing", ["WebAssembly", "JavaScript"])
def test_a_browser_without_what_the_page_needs_is_told_so(page, missing):
    visit = f"no {missing}"
    assert missing in visits(page, visit)[visit]["message"]
