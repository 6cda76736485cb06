/* Draws what `data-plot` holds with uPlot: stacked columns for what sums up, lines for what does
   not. Dragging over it asks for that stretch of time; the address keeps the state. */
"use strict";

(() => {
  const HEIGHT = 280;
  const SMALLEST_DRAG = 6;
  const drawn = new WeakMap();

  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const writers = {
    money: (value) => `$${value && value < 0.01 ? value.toPrecision(2) : value < 10_000 ? value.toLocaleString("en", { maximumFractionDigits: value < 1 ? 4 : 2 }) : compact.format(value)}`,
    count: (value) => (value < 10_000 ? value.toLocaleString("en") : compact.format(value)),
    duration: (value) => (value < 1000 ? `${Math.round(value)} ms` : `${compact.format(value / 1000)} s`),
  };

  function made(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function mark(slot) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 9 9");
    svg.setAttribute("class", "dot");
    const rect = document.createElementNS(space, "rect");
    for (const [name, value] of [["class", `f${slot}`], ["width", 9], ["height", 9], ["rx", 2.5]]) rect.setAttribute(name, value);
    svg.append(rect);
    return svg;
  }

  /* Colours are named in the style sheet alone: ask what it makes of a class. */
  function colours(canvas, slots) {
    const probes = slots.map((slot) => canvas.appendChild(mark(slot)));
    const found = probes.map((probe) => getComputedStyle(probe.firstChild).fill);
    for (const probe of probes) probe.remove();
    return found;
  }

  const sum = (series, place) => series.reduce((total, one) => total + (one.values[place] || 0), 0);

  /* The columns of uPlot: for a stack each series holds itself and all that lie under it. */
  function columns(data) {
    if (!data.stacked) return data.series.map((one) => one.values);
    return data.series.map((_, top) => data.starts.map((_, place) => sum(data.series.slice(0, top + 1), place)));
  }

  function series(data, fills, card) {
    const bars = uPlot.paths.bars({ size: [0.82, 60] });
    const line = { width: 2, points: { show: data.starts.length < 40, size: 5 } };
    const each = data.series.map((_, place) =>
      data.stacked
        ? { paths: bars, fill: fills[place], stroke: card, width: 1, points: { show: false } }
        : { ...line, stroke: fills[place], points: { ...line.points, fill: fills[place] } },
    );
    return data.stacked ? each.reverse() : each;
  }

  /* As many starts of columns as there is room to name. */
  function marks(data, plot) {
    const every = Math.max(1, Math.ceil((data.starts.length * 74) / plot.width));
    return data.starts.filter((_, place) => place % every === 0);
  }

  function label(name) {
    const [, day, time] = name.split(", ");
    return time === undefined || time === "00:00" ? day || name : time;
  }

  function options(data, box, canvas, tip) {
    const style = getComputedStyle(box);
    const ink = getComputedStyle(box.querySelector("[role=status]")).color;
    const fills = colours(canvas, data.series.map((one) => one.slot));
    const step = (data.starts.at(1) ?? data.end) - data.starts[0];
    const axis = { stroke: ink, font: `11px ${style.fontFamily}`, ticks: { show: false }, grid: { stroke: style.borderTopColor, width: 1 } };
    return {
      width: canvas.clientWidth,
      height: HEIGHT,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: SMALLEST_DRAG } },
      scales: {
        x: { range: () => [data.starts[0] - step / 2, data.starts.at(-1) + step / 2] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, splits: (plot) => marks(data, plot), values: (_, at) => at.map((one) => label(data.names[data.starts.indexOf(one)])) },
        { ...axis, size: 52, values: (_, splits) => splits.map(writers[data.kind]) },
      ],
      series: [{}, ...series(data, fills, style.backgroundColor), ...(data.before ? [{ stroke: ink, width: 1.5, dash: [5, 4], points: { show: false } }] : [])],
      hooks: {
        setCursor: [(plot) => say(plot, data, box, tip)],
        setSelect: [(plot) => choose(plot, data)],
      },
    };
  }

  function say(plot, data, box, tip) {
    const place = plot.cursor.idx;
    tip.hidden = place === null || place === undefined || plot.cursor.left < 0;
    if (tip.hidden) return;
    const write = writers[data.kind];
    const title = made("b", "", data.names[place]);
    if (data.stacked) title.append(made("span", "", write(sum(data.series, place))));
    const lines = data.series.filter((one) => one.values[place]).map((one) => {
      const line = made("div");
      line.append(mark(one.slot), made("span", "", one.label), write(one.values[place]));
      return line;
    });
    if (data.before && data.before[place] !== null) {
      const line = made("div", "dim");
      line.append(made("span", "", "the period before"), write(data.before[place]));
      lines.unshift(line);
    }
    tip.replaceChildren(title, ...lines.reverse());
    const left = plot.bbox.left / devicePixelRatio + plot.cursor.left;
    const right = left + 16 + tip.offsetWidth;
    tip.style.transform = `translate(${Math.round(right < box.clientWidth ? left + 16 : Math.max(0, left - 16 - tip.offsetWidth))}px, 4px)`;
  }

  function choose(plot, data) {
    if (plot.select.width < SMALLEST_DRAG) return;
    const step = (data.starts.at(1) ?? data.end) - data.starts[0];
    const from = plot.posToVal(plot.select.left, "x") + step / 2;
    const to = plot.posToVal(plot.select.left + plot.select.width, "x") + step / 2;
    zoom(data, data.starts.findLastIndex((start) => start <= from), data.starts.findLastIndex((start) => start <= to));
  }

  function zoom(data, first, last) {
    const start = data.starts[Math.max(0, first)];
    const end = data.starts[last + 1] ?? data.end;
    const instant = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19) + "Z";
    const link = made("a");
    link.href = `${data.zoom}&from=${encodeURIComponent(instant(start))}&to=${encodeURIComponent(instant(end))}`;
    link.dataset.stay = "";
    link.hidden = true;
    document.body.append(link);
    link.click();
    link.remove();
  }

  function draw(box) {
    const canvas = box.querySelector(".canvas");
    drawn.get(canvas)?.plot.destroy();
    const data = JSON.parse(box.dataset.plot);
    const tip = made("div", "tip");
    tip.hidden = true;
    canvas.replaceChildren();
    const bottom = columns(data);
    const values = [data.starts, ...(data.stacked ? bottom.reverse() : bottom), ...(data.before ? [data.before] : [])];
    const plot = new uPlot(options(data, box, canvas, tip), values, canvas);
    canvas.append(tip);
    drawn.set(canvas, { plot, data, source: box.dataset.plot });
  }

  function drawAll(again) {
    for (const box of document.querySelectorAll("[data-plot]")) {
      const known = drawn.get(box.querySelector(".canvas"));
      if (again || known?.source !== box.dataset.plot) draw(box);
    }
  }

  /* Without a pointer: arrows walk, Enter zooms in, Escape leaves. */
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-plot]");
    const known = box && drawn.get(box.querySelector(".canvas"));
    if (!known) return;
    const { plot, data } = known;
    const here = plot.cursor.idx ?? -1;
    const steps = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: data.starts.length - 1 };
    if (event.key === "Enter" && here >= 0) zoom(data, here, here);
    if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
    if (!(event.key in steps)) return;
    event.preventDefault();
    const place = Math.min(data.starts.length - 1, Math.max(0, steps[event.key]));
    plot.setCursor({ left: plot.valToPos(data.starts[place], "x"), top: 10 });
    box.querySelector("[role=status]").textContent = box.querySelector(".tip").innerText;
  });

  const resized = new ResizeObserver(() => {
    for (const box of document.querySelectorAll("[data-plot]")) {
      const canvas = box.querySelector(".canvas");
      drawn.get(canvas)?.plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    drawAll();
    resized.observe(document.getElementById("content"));
  });
  document.addEventListener("htmx:after:swap", () => drawAll());
  document.addEventListener("click", (event) => {
    if (event.target.closest(".themes button")) requestAnimationFrame(() => drawAll(true));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
})();
