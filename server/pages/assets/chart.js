/* Draws every <figure class="chart"> with uPlot, from the JSON within it or behind its
   data-source. Where it cannot, the table in the figure stays what there is. */
"use strict";

const Lianmu = (() => {
  const CHINA = "Asia/Shanghai";
  const drawn = new Map(); // figure -> {plot, data}

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const strokes = () => [1, 2, 3, 4, 5].map((number) => colour(`--chart-${number}`));

  function shown(value, unit, language) {
    if (value === null || value === undefined) return "–";
    if (unit === "fen") return (value / 100).toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    if (unit === "ms" && Math.abs(value) >= 1000) return shown(value / 1000, "s", language);
    const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1;
    return value.toLocaleString(language, { maximumFractionDigits: digits }) + (unit ? ` ${unit}` : "");
  }

  function axes(data, language) {
    const font = "12px system-ui, sans-serif";
    const common = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font };
    const across = data.labels
      ? { ...common, grid: { show: false }, values: (_, at) => at.map((each) => (Number.isInteger(each) ? data.labels[each] ?? "" : "")) }
      : { ...common, space: 72, values: (_, at) => at.map((each) => clock(each, at[at.length - 1] - at[0])) };
    const up = { ...common, size: (_, texts) => 20 + 7 * Math.max(3, ...(texts ?? []).map((each) => each.length)), values: (_, at) => at.map((each) => shown(each, data.unit, language)) };
    return [across, up];
  }

  function clock(at, span) {
    const options = span > 2 * 86400
      ? { month: "2-digit", day: "2-digit" }
      : { hour: "2-digit", minute: "2-digit", ...(span < 300 ? { second: "2-digit" } : {}), hourCycle: "h23" };
    return new Date(at * 1000).toLocaleString("sv-SE", { timeZone: CHINA, ...options });
  }

  function series(data, language) {
    const colours = strokes();
    const bars = data.kind === "bars" ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined;
    const first = data.labels
      ? { label: data.across ?? "", value: (_, at) => (at === null ? "–" : data.labels[at]) }
      : { label: data.across ?? "", value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString("sv-SE", { timeZone: CHINA })) };
    const rest = data.series.map((each, index) => ({
      label: each.label,
      stroke: colours[index % colours.length],
      fill: data.kind === "bars" ? colours[index % colours.length] : undefined,
      width: data.kind === "bars" ? 0 : 2,
      paths: bars,
      points: { show: data.kind === "points" },
      spanGaps: false,
      value: (_, value) => shown(value, data.unit, language),
    }));
    return [first, ...rest];
  }

  function columns(data) {
    return [data.labels ? data.labels.map((_, index) => index) : data.x, ...data.series.map((each) => each.values)];
  }

  function options(figure, place, data) {
    const language = figure.dataset.language || "en";
    return {
      width: Math.max(place.clientWidth, 200),
      height: Number(figure.dataset.height) || 220,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), CHINA),
      scales: {
        x: data.labels ? { time: false, range: [-0.6, data.labels.length - 0.4] } : { time: true },
        y: { range: (_, low, high) => [Math.min(low ?? 0, 0), high > 0 ? high * 1.1 : 1] },
      },
      axes: axes(data, language),
      series: series(data, language),
      legend: { live: true },
      cursor: { drag: { x: false, y: false } },
    };
  }

  /* Draw, or draw anew what changed; the form of `data` is told in docs/pages.md. */
  function draw(figure, data) {
    const place = figure.querySelector(".plot");
    place.hidden = false;
    const known = drawn.get(figure);
    const same = known && known.data.series.length === data.series.length && !data.labels && !known.data.labels;
    if (same) {
      known.data = data;
      known.plot.setData(columns(data));
      return;
    }
    if (known) known.plot.destroy();
    drawn.set(figure, { data, plot: new uPlot(options(figure, place, data), columns(data), place) });
    figure.dataset.drawn = "yes";
  }

  function again(figure) {
    const known = drawn.get(figure);
    known.plot.destroy();
    drawn.delete(figure);
    draw(figure, known.data);
  }

  async function begin(figure) {
    const inline = figure.querySelector('script[type="application/json"]');
    try {
      let data;
      if (inline) {
        data = JSON.parse(inline.textContent);
      } else {
        const answer = await fetch(figure.dataset.source, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        data = await answer.json();
      }
      draw(figure, data);
    } catch {
      const told = document.createElement("p");
      told.className = "small";
      told.textContent = figure.dataset.failed;
      figure.querySelector("figcaption").after(told);
      figure.querySelector("details").open = true;
    }
  }

  function watchWidths() {
    const watcher = new ResizeObserver((entries) => {
      for (const entry of entries) {
        const known = drawn.get(entry.target.closest("figure"));
        const width = Math.max(Math.floor(entry.contentRect.width), 200);
        if (known && known.plot.width !== width) known.plot.setSize({ width, height: known.plot.height });
      }
    });
    for (const place of document.querySelectorAll("figure.chart .plot")) watcher.observe(place);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const figure of document.querySelectorAll("figure.chart")) {
      if (figure.dataset.source || figure.querySelector('script[type="application/json"]')) begin(figure);
    }
    watchWidths();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...drawn.keys()].forEach(again));
  });

  return { draw };
})();
