/* Keeps the status page up to date by server-sent events; without it the page has a link to
   reload. A part in which somebody is reading with the keyboard or marking text stays as it is. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const live = document.getElementById("live");
  const said = live.querySelector("span");
  let samples = null;
  let opened = new Set();

  function say(state) {
    if (live.dataset.state === state) return;
    live.dataset.state = state;
    said.textContent = live.dataset[state];
  }

  function isBusy(region) {
    if (region.contains(document.activeElement)) return true;
    const marked = getSelection();
    return marked.type === "Range" && region.contains(marked.anchorNode);
  }

  function replace(region, html) {
    if (region.dataset.html === html || isBusy(region)) return;
    opened = new Set([...region.querySelectorAll("details")].map((each, index) => (each.open ? index : -1)));
    region.innerHTML = html;
    region.dataset.html = html;
    region.querySelectorAll("details").forEach((each, index) => { each.open = opened.has(index); });
  }

  async function redraw() {
    const answer = await fetch(live.dataset.series, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    for (const [name, data] of Object.entries(await answer.json())) {
      const figure = document.getElementById(name);
      if (figure) Lianmu.draw(figure, data);
    }
  }

  const events = new EventSource(live.dataset.events);
  events.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    for (const [name, html] of Object.entries(message.regions)) {
      const region = document.getElementById(`region-${name}`);
      if (region) replace(region, html);
    }
    if (samples !== null && samples !== message.samples) redraw().catch(() => say("lost"));
    samples = message.samples;
    live.dataset.messages = Number(live.dataset.messages || 0) + 1;
    say("live");
  });
  events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ? "ended" : "lost"));
  addEventListener("pagehide", () => events.close());
});
