"""The playground in a real browser: sliders turn knobs, and what the page shows is what the library gives.

`make test-browser` runs it, with Chromium; PICTURE=file keeps what it saw.
"""

import os
import threading

import pytest
import rheostat
from rheostat import SamplingParams, lab
from rheostat.play import Playground, Server

if "RHEOSTAT_BROWSER" not in os.environ:
    pytest.skip("make test-browser runs these", allow_module_level=True)

from browser.chromium import Chromium

QUIET = "document.body?.getAttribute('aria-busy') === 'false'"
TEXT = "[...document.querySelectorAll('#text button')].map((b) => b.textContent).join('')"


@pytest.fixture(scope="module")
def model():
    return lab.load()


@pytest.fixture(scope="module")
def page(model):
    with Server(Playground(model)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Chromium() as browser:
                browser.open(server.url)
                browser.wait_for(QUIET)
                yield browser
        finally:
            server.shutdown()
            thread.join()


def set_value(page, id, value, event="input"):
    """As a user does, and waits for the answer."""
    page.evaluate("document.body.setAttribute('aria-busy', 'true')")
    page.evaluate(
        f"(() => {{ const e = document.getElementById('{id}'); e.value = {value!r}; "
        f"e.dispatchEvent(new Event('{event}', {{bubbles: true}})); }})()"
    )
    page.wait_for(QUIET)


def generated(model, **settings):
    fields = {"seed": 1, "max_tokens": 60, "eos_token_id": model.eos_token_id, "context_length": 512}
    params = SamplingParams(**fields | settings)
    return rheostat.generate(model, model.encode("The default is"), params, table=model.table).run().text


def test_it_begins_with_the_preset_balanced(page, model):
    assert page.evaluate(TEXT) == generated(model, temperature=0.7, top_p=0.9)
    assert page.evaluate("document.querySelectorAll('#tokens tr').length") >= 20


def test_a_slider_changes_the_text_and_the_distribution(page, model):
    before = page.evaluate("document.querySelector('#tokens').textContent")
    set_value(page, "knob-temperature", "1.5")
    assert page.evaluate(TEXT) == generated(model, temperature=1.5, top_p=0.9)
    assert page.evaluate("document.querySelector('#tokens').textContent") != before
    set_value(page, "knob-top_k", "3")
    assert page.evaluate(TEXT) == generated(model, temperature=1.5, top_p=0.9, top_k=3)
    kept = page.evaluate("document.querySelectorAll('#tokens tr:not(.dropped)').length")
    assert kept == int(
        page.evaluate("document.querySelector('#steps tr:last-child td:nth-child(3)').textContent")
    )
    assert "top_k" in page.evaluate("document.querySelector('#tokens').textContent")


def test_a_preset_turns_the_knobs_and_the_order(page, model):
    set_value(page, "preset", "llama.cpp", "change")
    assert page.evaluate("document.getElementById('chain').value") == "llama.cpp"
    wanted = generated(model, temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, chain="llama.cpp")
    assert page.evaluate(TEXT) == wanted
    assert "--chain=llama.cpp" in page.evaluate("document.getElementById('command').textContent")


def test_a_click_on_a_piece_shows_how_it_was_drawn(page):
    page.evaluate("document.querySelectorAll('#text button')[4].click()")
    page.wait_for("document.getElementById('place').textContent === '5'")
    piece = page.evaluate("document.querySelector('#text button[aria-current=true]').textContent")
    drawn = page.evaluate("document.querySelector('#tokens .drawn .token').textContent")
    assert drawn == piece.replace(" ", "\u2423")
    assert piece in page.evaluate("document.getElementById('why').textContent")


def test_a_wrong_value_is_told_and_forgotten(page, model):
    set_value(page, "max_tokens", "5000")
    error = "!document.getElementById('error').hidden && document.getElementById('error').textContent"
    assert page.evaluate(error) == "max_tokens must be at most 200 here, got 5000"
    page.problems.clear()  # the browser's own line about the answer's status 400
    set_value(page, "max_tokens", "8")
    assert page.evaluate(error) is False
    assert page.evaluate("document.querySelectorAll('#text button').length") <= 8


def test_a_stop_ends_the_text_before_it(page, model):
    set_value(page, "preset", "greedy", "change")
    set_value(page, "max_tokens", "60")
    whole = page.evaluate(TEXT)
    stop = whole.split()[3]
    set_value(page, "stop", stop)
    assert page.evaluate(TEXT) == whole[: whole.index(stop)]
    assert page.evaluate("document.getElementById('finish').textContent").endswith(f'ended by stop "{stop}"')


def test_the_console_has_nothing_to_complain_of(page):
    set_value(page, "stop", "")
    set_value(page, "preset", "balanced", "change")
    if "PICTURE" in os.environ:
        page.screenshot(os.environ["PICTURE"])
    assert page.problems == []
