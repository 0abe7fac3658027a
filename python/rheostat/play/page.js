"use strict";
// The page asks for everything it shows: /api/text for the text, /api/next for the token that is looked at. An answer
// that is not to the latest question is dropped.

const $ = (id) => document.getElementById(id);
const knobs = new Map(); // name: {slider, input, output, box}
let about = null;
let shown = { pieces: [], place: 0 };
let asked = 0;
let timer = 0;

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

const percent = (p) => (p >= 0.9995 ? "100 %" : p >= 0.0001 ? (100 * p).toFixed(2) + " %" : p > 0 ? "< 0.01 %" : "");

// What cannot be seen in a token, in signs that can.
const visible = (text) => (text === "" ? "(no text)" : text.replaceAll(" ", "\u2423").replaceAll("\n", "\u21b5"));

function addKnob(slider) {
  const id = "knob-" + slider.name;
  const input = element("input", {
    type: "range", id, min: slider.least, max: slider.most, step: slider.step, value: slider.off,
  });
  const output = element("output", { htmlFor: id });
  const box = element(
    "div", { className: "knob" }, element("label", { htmlFor: id, textContent: slider.name }), output, input,
    element("small", { textContent: slider.says }),
  );
  input.addEventListener("input", changed);
  $(slider.common ? "common" : "rest").append(box);
  knobs.set(slider.name, { slider, input, output, box });
}

function takePreset(name) {
  const fields = about.presets.find((preset) => preset.name === name).fields;
  for (const [knob, { slider, input }] of knobs) input.value = fields[knob] ?? slider.off;
  $("chain").value = fields.chain ?? "vllm";
}

function settings() {
  const set = { seed: Number($("seed").value), max_tokens: Number($("max_tokens").value), chain: $("chain").value };
  for (const [name, { slider, input }] of knobs) {
    if (Number(input.value) !== slider.off) set[name] = Number(input.value);
  }
  const stop = $("stop").value.replaceAll("\\n", "\n");
  if (stop) set.stop = [stop];
  return set;
}

function showKnobs() {
  for (const { slider, input, output, box } of knobs.values()) {
    const isOff = Number(input.value) === slider.off;
    output.value = isOff ? `${slider.off} (off)` : input.value;
    box.classList.toggle("set", !isOff);
  }
  $("order").textContent = about.chains[$("chain").value];
}

function changed() {
  showKnobs();
  clearTimeout(timer);
  timer = setTimeout(ask, 40); // a slider that is dragged asks once it rests
}

async function post(path, request) {
  const response = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function ask() {
  const mine = ++asked;
  const request = { prompt: $("prompt").value, settings: settings() };
  document.body.setAttribute("aria-busy", "true");
  try {
    const text = await post("/api/text", request);
    if (mine !== asked) return;
    shown = { request, pieces: text.pieces, place: Math.min(shown.place, Math.max(text.pieces.length - 1, 0)) };
    showText(request.prompt, text);
    await look(shown.place, mine);
  } catch (error) {
    if (mine === asked) fail(error);
  }
  if (mine === asked) document.body.setAttribute("aria-busy", "false");
}

// The token at a place of the text: how it was drawn.
async function look(place, mine = ++asked) {
  const output_ids = shown.pieces.slice(0, place).map((piece) => piece.id);
  try {
    const next = await post("/api/next", { ...shown.request, output_ids });
    if (mine !== asked) return;
    shown.place = place;
    showNext(next);
    $("error").hidden = true;
  } catch (error) {
    if (mine === asked) fail(error);
  }
}

function fail(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
}

function showText(prompt, text) {
  const pieces = text.pieces.map((piece, place) => {
    const button = element("button", { type: "button", textContent: piece.text, title: percent(piece.p) });
    button.addEventListener("click", () => look(place));
    return button;
  });
  $("text").replaceChildren(element("span", { className: "prompt", textContent: prompt }), ...pieces);
  const end = text.finish === "stop" ? `stop ${JSON.stringify(text.stop)}` : text.finish;
  $("finish").textContent = `${text.pieces.length} tokens, ended by ${end}`;
  $("python").textContent = text.python;
  $("command").textContent = text.command;
}

function showNext(next) {
  document.querySelectorAll("#text button").forEach((button, place) => {
    button.setAttribute("aria-current", String(place === shown.place));
  });
  $("place").textContent = String(shown.place + 1);
  $("why").textContent = next.draw.why;
  const steps = next.steps.map((step) => element(
    "tr", {}, element("td", { textContent: step.name }), element("td", { textContent: step.setting }),
    element("td", { textContent: step.tokens }), element("td", { textContent: step.removed || "" }),
    element("td", { textContent: step.removed ? percent(step.mass) : "" }),
    element("td", { textContent: percent(step.top) }),
  ));
  document.querySelector("#steps tbody").replaceChildren(...steps);
  const most = Math.max(...next.tokens.flatMap((token) => [token.before, token.after]));
  const tokens = next.tokens.map((token) => {
    const [before, after] = ["before", "after"].map((name) => {
      const bar = element("div", { className: `bar ${name}` });
      bar.style.width = `${(100 * token[name]) / most}%`;
      bar.style.minWidth = token[name] > 0 ? "1px" : "0";
      return bar;
    });
    const row = element(
      "tr", {}, element("td", { className: "token", textContent: visible(token.text) }),
      element("td", { className: "percent", textContent: percent(token.before) }),
      element("td", { className: "percent", textContent: token.dropped ? token.dropped : percent(token.after) }),
      element("td", { className: "bars" }, before, after),
    );
    row.dataset.id = token.id;
    row.classList.toggle("dropped", token.dropped !== null);
    row.classList.toggle("drawn", token.id === next.draw.id);
    return row;
  });
  document.querySelector("#tokens tbody").replaceChildren(...tokens);
}

async function start() {
  about = await (await fetch("/api/about")).json();
  about.sliders.forEach(addKnob);
  for (const preset of about.presets) {
    $("preset").append(element("option", { value: preset.name, textContent: preset.name, title: preset.says }));
  }
  for (const name of Object.keys(about.chains)) $("chain").append(element("option", { value: name, textContent: name }));
  $("prompt").value = about.prompt;
  $("version").textContent = about.version;
  $("model").textContent = about.model;
  $("preset").value = about.preset;
  takePreset(about.preset);
  $("preset").addEventListener("change", () => { takePreset($("preset").value); changed(); });
  for (const id of ["prompt", "seed", "max_tokens", "stop", "chain"]) $(id).addEventListener("input", changed);
  $("again").addEventListener("click", () => { $("seed").value = Number($("seed").value) + 1; changed(); });
  $("knobs").addEventListener("submit", (event) => event.preventDefault());
  showKnobs();
  await ask();
}

start().catch(fail);
