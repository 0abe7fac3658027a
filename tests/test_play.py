"""The playground: what the page is told is what the library gives, and nobody but this machine is told it."""

import errno
import http.client
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import platforms
import pytest
import rheostat
from cli_support import environment, text_of
from rheostat import KnobError, SamplingParams
from rheostat.cli.presets import PRESETS
from rheostat.play import Playground, Server
from rheostat.play.sliders import SLIDERS
from stand_in import Breaks, Bytes, Cached

SETTINGS = {"temperature": 0.8, "top_k": 5, "top_p": 0.95, "seed": 3, "max_tokens": 20, "chain": "llama.cpp"}
REQUEST = {"prompt": "the ", "settings": SETTINGS}


def test_the_text_is_the_loop_s_and_its_pieces_are_the_tokens():
    told = Playground(Bytes()).text(REQUEST)
    done = text_of(SamplingParams(context_length=300, eos_token_id=0, logprobs=0, **SETTINGS))
    assert "".join(piece["text"] for piece in told["pieces"]) == done.text
    assert [piece["id"] for piece in told["pieces"]] == list(done.ids)
    assert [piece["p"] for piece in told["pieces"]] == pytest.approx(np.exp(done.logprobs).tolist())
    assert told["finish"] == done.finish_reason == "length"


def test_every_piece_is_explained_by_the_draw_that_gave_it():
    playground = Playground(Bytes())
    ids = [piece["id"] for piece in playground.text(REQUEST)["pieces"]]
    for place in range(len(ids)):
        told = playground.next(REQUEST | {"output_ids": ids[:place]})
        assert told["draw"]["id"] == ids[place]
        drawn = [token for token in told["tokens"] if token["id"] == ids[place]]
        assert [token["dropped"] for token in drawn] == [None]
        assert 0 < sum(token["after"] for token in told["tokens"]) <= 1 + 1e-12


def test_a_token_that_is_dropped_names_the_step_that_did():
    told = Playground(Bytes()).next(REQUEST | {"settings": {"top_k": 2, "temperature": 0.5}})
    assert [step["name"] for step in told["steps"]] == ["input", "temperature", "top_k"]
    assert {token["dropped"] for token in told["tokens"]} == {None, "top_k"}
    assert sum(token["dropped"] is None for token in told["tokens"]) == told["steps"][-1]["tokens"] == 2


def test_a_model_told_only_what_is_new_gives_the_same():
    assert Playground(Cached()).text(REQUEST) == Playground(Bytes()).text(REQUEST)
    assert Playground(Cached()).next(REQUEST) == Playground(Bytes()).next(REQUEST)


def test_the_command_shown_writes_the_same_text(cli):
    settings = SETTINGS | {"frequency_penalty": -0.3, "stop": ["\n\n", "rat\\"]}
    told = Playground(Bytes(), "stand_in:load").text({"prompt": "the 'cat' ", "settings": settings})
    program, *arguments = shlex.split(told["command"])
    status, out, _ = cli(*arguments)
    assert program == "rheostat"
    assert (status, out) == (0, "".join(piece["text"] for piece in told["pieces"]))


def test_the_python_shown_is_the_settings():
    told = Playground(Bytes()).text(REQUEST | {"settings": SETTINGS | {"stop": ["x"], "chain": "hf"}})
    params = eval(told["python"], {"rheostat": rheostat})
    assert params == SamplingParams(**SETTINGS | {"stop": ["x"], "chain": "hf"})


def test_the_page_is_told_of_every_slider_and_preset():
    about = Playground(Bytes(), "mine").about()
    assert json.loads(json.dumps(about)) == about
    assert [preset["name"] for preset in about["presets"]] == list(PRESETS)
    for slider in about["sliders"]:
        assert slider["least"] <= slider["off"] <= slider["most"]
        assert slider["says"]
        for value in (slider["least"], slider["most"]):
            SamplingParams(**{slider["name"]: type(slider["off"])(value)})
    sliders = {slider.name for slider in SLIDERS}
    assert all(set(preset.fields) <= sliders | {"chain"} for preset in PRESETS.values())


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        ([], TypeError, "request must be an object, got list"),
        ({}, TypeError, "prompt must be a string, got NoneType"),
        ({"prompt": ""}, KnobError, "prompt must have 1 to 4000 characters, got 0"),
        ({"prompt": "a", "settings": 3}, TypeError, "settings must be an object, got int"),
        ({"prompt": "a", "settings": {"logprobs": 3}}, KnobError, "hold what the page sets, got 'logprobs'"),
        ({"prompt": "a", "settings": {"top_p": 1.5}}, KnobError, r"top_p must be in \(0, 1\], got 1.5"),
        ({"prompt": "a", "settings": {"max_tokens": 999}}, KnobError, "must be at most 200 here, got 999"),
        ({"prompt": "a" * 300}, KnobError, "context_length must be greater than the number of prompt_ids"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_sentence(request_, kind, message):
    with pytest.raises(kind, match=message):
        Playground(Bytes()).text(request_)


@pytest.mark.parametrize("ids", ["a", ["a"], [256], [-1]])
def test_ids_that_are_none_are_refused(ids):
    with pytest.raises((KnobError, TypeError), match="output_ids must "):
        Playground(Bytes()).next(REQUEST | {"output_ids": ids})


@pytest.fixture
def server(request):
    model = getattr(request, "param", Bytes)()
    with Server(Playground(model)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, **headers):
    """(status, kind, body) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    told = answer.status, answer.headers.get_content_type(), answer.read()
    connection.close()
    return told


JSON = {"Content_Type": "application/json"}


def test_the_page_and_its_parts_are_served(server):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, found, body = ask(server, "GET", path)
        assert (status, found) == (200, kind)
        assert body
    page = ask(server, "GET", "/")[2].decode()
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing from elsewhere


def test_answers_come_over_http(server):
    playground = server.playground
    assert json.loads(ask(server, "GET", "/api/about")[2]) == playground.about()
    for path, answer in (("/api/text", playground.text), ("/api/next", playground.next)):
        status, kind, body = ask(server, "POST", path, json.dumps(REQUEST), **JSON)
        assert (status, kind) == (200, "application/json")
        assert json.loads(body) == answer(REQUEST)


def test_a_wrong_value_is_400_with_the_sentence_and_its_argument(server):
    body = json.dumps(REQUEST | {"settings": {"min_p": 2}})
    status, _, told = ask(server, "POST", "/api/text", body, **JSON)
    assert status == 400
    assert json.loads(told) == {"error": "min_p must be in [0, 1], got 2.0", "argument": "min_p"}
    assert ask(server, "POST", "/api/text", "{", **JSON)[0] == 400


def test_json_that_is_nested_too_deeply_is_400_and_no_traceback(server, capsys):
    status, _, told = ask(server, "POST", "/api/text", "[" * 100_000, **JSON)
    said = "the request must be JSON, got one that is nested too deeply"
    assert (status, json.loads(told)["error"]) == (400, said)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("server", [Breaks], indirect=True)
def test_a_fault_of_the_model_is_500_and_told_on_the_terminal(server, capsys):
    status, _, told = ask(server, "POST", "/api/text", json.dumps(REQUEST), **JSON)
    assert (status, json.loads(told)) == (500, {"error": "ConnectionError: the model is away"})
    assert "the model is away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "rheostat.example"}, 403),
        ("POST", "/api/text", JSON | {"Host": "rheostat.example"}, 403),
        ("POST", "/api/text", {"Content_Type": "text/plain"}, 415),
        ("POST", "/api/text", JSON | {"Content_Length": "99999999"}, 413),
        ("POST", "/api/text", JSON | {"Content_Length": "-1"}, 413),
        ("GET", "/../answers.py", {}, 404),
        ("POST", "/api/other", JSON, 404),
    ],
)
def test_what_is_not_for_it_is_refused(server, method, path, headers, status):
    assert ask(server, method, path, "", **headers)[0] == status


@platforms.posix
def test_a_page_that_is_closed_before_its_answer_comes_is_no_error(server, capsys):
    body = json.dumps(REQUEST).encode()
    head = f"POST /api/text HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
            reset = struct.pack("ii", 1, 0)  # close at once, with whatever is under way
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.sendall(head.encode() + body)
    assert ask(server, "GET", "/")[0] == 200
    assert capsys.readouterr().err == ""


@platforms.posix
def test_ctrl_c_ends_it():
    arguments = ("-m", "rheostat", "play", "--model", "stand_in:load", "--no-browser")
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment(), stderr=subprocess.PIPE, text=True
    )
    url = process.stderr.readline().split()[0]
    with urllib.request.urlopen(url, timeout=30) as page:
        assert b"rheostat playground" in page.read()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (None, "ended\n")
    assert process.returncode == 0


def test_a_port_that_cannot_be_had_is_one_sentence(cli, server):
    taken = server.server_port
    status, _, err = cli("play", "--model", "stand_in:load", "--no-browser", "--port", taken)
    assert (status, err) == (2, f"rheostat play: --port {taken}: {os.strerror(errno.EADDRINUSE)}\n")
    assert cli("play", "--model", "stand_in:load", "--port", 70000)[2].endswith("must be in [0, 65535]\n")
