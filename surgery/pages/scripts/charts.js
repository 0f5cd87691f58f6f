"use strict";
// Charts, drawn from the tables beside them: a figure names its table by `data-table`, and its rows have the numbers.

const INK = { color: "var(--ink)", background: "transparent", fontFamily: "inherit", fontSize: "12px", overflow: "visible" };
const KINDS = ["serving_default", "other signatures and calls", "training"];
const COLOURS = ["var(--accent)", "var(--second)", "var(--third)"];
const SYMBOLS = ["circle", "diamond2", "triangle2"];
const SHOWN = 28; // letters of a name on an axis; the table has all of it

const rowsOf = (id) => [...document.getElementById(id).tBodies[0].rows].map((row) => ({ ...row.dataset }));
const short = (name) => (name.length > SHOWN ? `${name.slice(0, SHOWN - 1)}…` : name);
const power = (value) => {
  const exponent = Math.round(Math.log10(value));
  return `10${[...String(exponent)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])).join("")}`;
};
const measured = (value) => (value === 0 ? "0" : isFinite(value) ? value.toPrecision(2) : "inf");

// Zero has no place on a logarithmic axis: such values stand at its foot, which is labelled 0 then. What is infinite
// stands at its head, which is labelled inf then.
function scaleOf(values, bounds) {
  const known = [...values, ...bounds].filter((value) => value > 0 && isFinite(value));
  const zeros = values.includes(0), infinite = values.includes(Infinity);
  const foot = 10 ** (Math.floor(Math.log10(Math.min(...known, 1))) - (zeros ? 1 : 0));
  const head = 10 ** Math.ceil(Math.log10(Math.max(...known, foot * 100)) + 0.15);
  const steps = [];
  const every = Math.max(1, Math.ceil(Math.log10(head / foot) / 8));
  for (let exponent = Math.round(Math.log10(head)); exponent > Math.log10(foot) + 0.5; exponent -= every) steps.push(10 ** exponent);
  const words = (value) => (zeros && value === foot ? "0" : infinite && value === head ? "inf" : power(value));
  return { foot, head, words, ticks: [foot, ...steps], at: (value) => Math.min(Math.max(value, foot), head) };
}

function byPlace(figure, places, scale, marks, label) {
  const words = (place) => short(place.replace(/^block (\d+)$/, "$1"));
  const longest = Math.max(...places.map((place) => words(place).length));
  const room = figure.clientWidth / places.length;
  const crowded = room < 7 * longest + 8;
  const every = Math.ceil(16 / room); // labels are left out where lines of them would lie upon one another
  return Plot.plot({
    width: figure.clientWidth,
    height: 280 + (crowded ? 4 * longest : 0),
    marginLeft: crowded ? Math.max(48, 5 * words(places[0]).length) : 48,
    marginBottom: crowded ? 24 + 5 * longest : 40,
    marginTop: 28,
    style: INK,
    ariaLabel: figure.querySelector("figcaption").textContent,
    x: { type: "band", domain: places, ticks: places.filter((_, number) => number % every === 0), label: crowded ? null : "block or output", tickFormat: words, tickRotate: crowded ? -45 : 0, tickSize: 3 },
    y: { type: "log", domain: [scale.foot, scale.head], ticks: scale.ticks, tickFormat: scale.words, label, grid: true },
    color: { domain: KINDS, range: COLOURS },
    symbol: { domain: KINDS, range: SYMBOLS },
    marks,
  });
}

// A legend in HTML, because it wraps on narrow screens.
function legend(entries) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const { words, colour, symbol } of entries) {
    const item = document.createElement("li");
    const mark = Plot.plot({ width: 14, height: 14, margin: 0, axis: null, x: { domain: [0, 1] }, y: { domain: [0, 1] }, marks: [symbol(colour)] });
    mark.setAttribute("aria-hidden", "true");
    item.append(mark, words);
    list.append(item);
  }
  return list;
}
const dotOf = (shape, filled = true) => (colour) => Plot.dot([0], { x: 0.5, y: 0.5, r: 4, symbol: shape, [filled ? "fill" : "stroke"]: colour });
const lineOf = (dash) => (colour) => Plot.ruleY([0.5], { stroke: colour, strokeWidth: 1.5, strokeDasharray: dash });

const tip = (rows, options) => Plot.tip(rows, Plot.pointer({ fill: "var(--paper)", stroke: "var(--line)", textPadding: 8, ...options }));

const charts = {
  differences(figure) {
    const places = rowsOf(figure.dataset.places).map((row) => row.at);
    const rows = rowsOf(figure.dataset.table).filter((row) => row.difference !== undefined);
    if (!rows.length) return null;
    const bound = figure.dataset.bound === undefined ? [] : [Number(figure.dataset.bound)];
    const scale = scaleOf(rows.map((row) => Number(row.difference)), bound);
    const mark = { x: "at", y: (row) => scale.at(Number(row.difference)) };
    const kinds = KINDS.filter((kind) => rows.some((row) => row.kind === kind));
    return [
      legend([
        ...kinds.map((words) => ({ words, colour: COLOURS[KINDS.indexOf(words)], symbol: dotOf(SYMBOLS[KINDS.indexOf(words)]) })),
        ...bound.map((value) => ({ words: `bound, ${measured(value)}`, colour: "var(--bad)", symbol: lineOf("4 2") })),
      ]),
      byPlace(figure, places, scale, [
        Plot.ruleY(bound, { stroke: "var(--bad)", strokeWidth: 1.5, strokeDasharray: "6 3" }),
        Plot.dot(rows, { ...mark, fill: "kind", symbol: "kind", r: 4, fillOpacity: 0.85, ariaLabel: (row) => `${row.name}: ${measured(Number(row.difference))}` }),
        tip(rows, { ...mark, title: (row) => `${row.name}\n${measured(Number(row.difference))}` }),
      ], "difference / RMS"),
    ];
  },

  errors(figure) {
    const places = rowsOf(figure.dataset.places).map((row) => row.at);
    const rows = rowsOf(figure.dataset.table).filter((row) => row.export !== undefined);
    if (!rows.length) return null;
    const known = new Set(rows.map((row) => row.at));
    const numbers = (row) => [Number(row.module), Number(row.export)];
    const bounds = rows.filter((row) => row.bound !== undefined);
    const scale = scaleOf(rows.flatMap(numbers), bounds.map((row) => Number(row.bound)));
    const y = (key) => (row) => scale.at(Number(row[key]));
    return [
      legend([
        { words: "module", colour: "var(--soft)", symbol: dotOf("circle", false) },
        { words: "export", colour: "var(--accent)", symbol: dotOf("circle") },
        ...(bounds.length ? [{ words: "bound of the export's error", colour: "var(--bad)", symbol: lineOf(undefined) }] : []),
      ]),
      byPlace(figure, places.filter((place) => known.has(place)), scale, [
        Plot.tickY(bounds, { x: "at", y: y("bound"), stroke: "var(--bad)", strokeWidth: 1.5, insetLeft: 2, insetRight: 2 }),
        Plot.dot(rows, { x: "at", y: y("module"), stroke: "var(--soft)", r: 4, dx: -5, ariaLabel: (row) => `${row.name}: module ${measured(Number(row.module))}` }),
        Plot.dot(rows, { x: "at", y: y("export"), fill: "var(--accent)", r: 4, dx: 5, fillOpacity: 0.85, ariaLabel: (row) => `${row.name}: export ${measured(Number(row.export))}` }),
        tip(rows, { x: "at", y: y("export"), title: (row) => `${row.name}\nmodule ${measured(Number(row.module))}\nexport ${measured(Number(row.export))}${row.bound === undefined ? "" : `\nbound ${measured(Number(row.bound))}`}` }),
      ], "error / RMS"),
    ];
  },

  parameters: (figure) => bars(figure, []),
  replies: (figure) => bars(figure, [{ value: Number(figure.dataset.limit), words: figure.dataset.limitWords }]),
};

// The words at a bar are those of the table.
function bars(figure, limits) {
  const rows = rowsOf(figure.dataset.table).map((row, number) => ({ ...row, number, value: Number(row.value) }));
  if (!rows.length) return null;
  const names = rows.map((row) => short(row.name));
  const most = Math.max(...[...rows, ...limits].map(({ value }) => value));
  return [
    Plot.plot({
      width: figure.clientWidth,
      height: 26 * rows.length + 30,
      marginLeft: Math.min(16 + 7 * Math.max(...names.map((name) => name.length)), figure.clientWidth / 2.5),
      marginRight: 84,
      marginTop: 8,
      marginBottom: 22,
      style: INK,
      ariaLabel: figure.querySelector("figcaption").textContent,
      x: { axis: null, domain: [0, most] },
      y: { type: "band", domain: rows.map((row) => row.number), tickFormat: (number) => names[number], label: null, tickSize: 0, padding: 0.3 },
      marks: [
        Plot.barX(rows, { x: "value", y: "number", fill: "var(--accent)", rx: 2, ariaLabel: (row) => `${row.name}: ${row.words}` }),
        Plot.text(rows, { x: "value", y: "number", text: "words", textAnchor: "start", dx: 6, fill: "var(--ink)" }),
        Plot.text(limits, { x: "value", frameAnchor: "bottom", dy: 14, text: ({ words }) => `limit ${words}`, fill: "var(--bad)" }),
        Plot.ruleX(limits, { x: "value", stroke: "var(--bad)", strokeWidth: 1.5, strokeDasharray: "6 3" }),
      ],
    }),
  ];
}

// A chart is drawn anew when its width changes.
function draw(figure) {
  figure.hidden = false;
  const drawn = charts[figure.dataset.chart](figure);
  for (const old of figure.querySelectorAll(":scope > :not(figcaption)")) old.remove();
  if (drawn === null) figure.hidden = true;
  else figure.append(...drawn);
}

const widths = new WeakMap();
const watcher = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (contentRect.width && widths.get(target) !== contentRect.width) {
      widths.set(target, contentRect.width);
      requestAnimationFrame(() => draw(target)); // within the observer's own turn, a new height would call it again
    }
  }
});
// Scripts after this one add charts, so that the first drawing waits for them.
addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    draw(figure);
    widths.set(figure, figure.getBoundingClientRect().width);
    watcher.observe(figure);
  }
});
