"use strict";
// Charts of two modules side by side, drawn from their tables as those of charts.js are.

// The end of a name says more than its beginning: `…/attention_output/kernel`.
const tail = (name) => (name.length > SHOWN ? `…${name.slice(1 - SHOWN)}` : name);

// A cell for each weight of each block. Darker is farther from A; equal weights are as light as the page.
charts.moved = (figure) => {
  const rows = [figure.dataset.table, figure.dataset.also]
    .flatMap((id) => (document.getElementById(id) ? rowsOf(id) : []))
    .filter((row) => row.block !== undefined)
    .map((row) => ({ ...row, block: Number(row.block), moved: row.moved === undefined ? null : Number(row.moved) }));
  const sublayers = [...new Set([...rows].sort((a, b) => a.block - b.block).map((row) => row.sublayer))];
  const blocks = d3.range(d3.max(rows, (row) => row.block) + 1);
  const known = rows.map((row) => row.moved).filter((moved) => moved > 0);
  const margin = Math.min(14 + 7 * Math.max(...sublayers.map((name) => tail(name).length)), figure.clientWidth * 0.55);
  const low = known.length ? Math.min(...known) : 1e-3, high = known.length ? Math.max(...known) : 1;
  const share = (moved) => (high === low ? 1 : (Math.log(moved) - Math.log(low)) / (Math.log(high) - Math.log(low)));
  const fill = ({ moved }) =>
    moved === null ? "var(--second)" : moved === 0 ? "var(--ground)" : `color-mix(in oklab, var(--accent) ${Math.round(20 + 80 * share(moved))}%, var(--paper))`;
  const words = (row) =>
    [row.name, row.moved === null ? row.state : row.moved === 0 ? "equal" : `RMS of change ${measured(row.moved)}`,
      ...(row.cosine === undefined ? [] : [`cosine ${Number(row.cosine).toFixed(6)}`]),
      ...(row.rows === undefined ? [] : [`rows: ${row.rows}`])];
  const step = Math.max(1, Math.ceil(blocks.length / ((figure.clientWidth - margin) / 22)));
  const place = { x: "block", y: "sublayer" };
  const box = (colour) => Plot.rect([0], { x1: 0, x2: 1, y1: 0, y2: 1, fill: colour, stroke: "var(--line)" });
  return [
    legend([
      { words: "equal", colour: "var(--ground)", symbol: box },
      ...(known.length && low !== high ? [{ words: measured(low), colour: fill({ moved: low }), symbol: box }] : []),
      ...(known.length ? [{ words: measured(high), colour: fill({ moved: high }), symbol: box }] : []),
      ...(rows.some((row) => row.moved === null) ? [{ words: "no such number, see the table", colour: "var(--second)", symbol: box }] : []),
    ]),
    Plot.plot({
      width: figure.clientWidth,
      height: 22 * sublayers.length + 56,
      marginLeft: margin,
      marginRight: 8,
      marginTop: 4,
      marginBottom: 40,
      style: INK,
      ariaLabel: figure.querySelector("figcaption").textContent,
      x: { type: "band", domain: blocks, label: "block", labelArrow: "none", ticks: blocks.filter((block) => block % step === 0), tickSize: 3, padding: 0 },
      y: { type: "band", domain: sublayers, label: null, tickSize: 0, tickFormat: tail, padding: 0 },
      marks: [
        Plot.cell(rows, { ...place, fill, stroke: "var(--line)", inset: 0.5, ariaLabel: (row) => words(row).join(", ") }),
        tip(rows, { ...place, title: (row) => words(row).join("\n") }),
      ],
    }),
  ];
};

charts.apart = (figure) => {
  const rows = rowsOf(figure.dataset.table), bound = Number(figure.dataset.bound);
  if (!rows.length) return null;
  const scale = scaleOf(rows.map((row) => Number(row.difference)), [bound]);
  const mark = { x: "at", y: (row) => scale.at(Number(row.difference)) };
  const words = (row) => `${row.at}: ${measured(Number(row.difference))}`;
  return [
    legend([
      { words: "same", colour: "var(--accent)", symbol: dotOf("circle") },
      { words: "differs", colour: "var(--bad)", symbol: dotOf("diamond2") },
      { words: `bound, ${measured(bound)}`, colour: "var(--bad)", symbol: lineOf("4 2") },
    ]),
    byPlace(figure, rows.map((row) => row.at), scale, [
      Plot.ruleY([bound], { stroke: "var(--bad)", strokeWidth: 1.5, strokeDasharray: "6 3" }),
      Plot.dot(rows.filter((row) => row.passed === "yes"), { ...mark, fill: "var(--accent)", r: 4, ariaLabel: words }),
      Plot.dot(rows.filter((row) => row.passed !== "yes"), { ...mark, fill: "var(--bad)", symbol: d3.symbolDiamond2, r: 4, ariaLabel: words }),
      tip(rows, { ...mark, title: words }),
    ], "difference / RMS"),
  ];
};
