"use strict";
// The attention map of the block and head that are chosen, drawn from the page's JSON; its tokens are named as in the
// tables, where they are shown with escapes for what cannot be printed.

{
  const { attention } = JSON.parse(document.getElementById("documents").textContent);
  const choices = document.querySelector("#attention .choices");
  const [block, head] = choices.querySelectorAll("select");
  const tokens = [...document.querySelector("#attention table").tBodies[0].rows].map((row) => row.cells[0].textContent);
  const letters = 12; // of a token at an axis
  const brief = (number) => {
    const token = tokens[number];
    return token.length > letters ? `${token.slice(0, letters - 1)}…` : token;
  };

  const chosen = () => `Block ${attention.blocks[block.value]}, head ${head.value}`;

  charts.attention = (figure) => {
    const map = attention.probabilities[block.value][head.value];
    const most = Math.max(...map.flat()) || 1; // a head without any share has no colours, either
    const colour = (share) => (share === null ? "var(--second)" : `color-mix(in oklab, var(--accent) ${Math.round((100 * share) / most)}%, var(--ground))`);
    const box = (fill) => Plot.rect([0], { x1: 0, x2: 1, y1: 0, y2: 1, fill, stroke: "var(--line)" });
    const cells = map.flatMap((row, from) => row.map((share, to) => ({ from, to, share })));
    const numbers = d3.range(tokens.length);
    const margin = 16 + 7 * Math.max(...numbers.map((number) => brief(number).length));
    const side = Math.max(1, Math.floor(Math.min((figure.clientWidth - margin - 8) / numbers.length, 34))); // Plot rounds, too
    const every = Math.max(1, Math.ceil(11 / side));
    const axis = { type: "band", domain: numbers, padding: 0, tickSize: 0, tickFormat: brief, ticks: numbers.filter((number) => number % every === 0) };
    const words = ({ from, to, share }) => `${tokens[from]} looks at ${tokens[to]}: ${share === null ? "NaN" : share.toFixed(2)}`;
    const place = { x: "to", y: "from" };
    const title = document.createElement("p"); // on paper, it is all that says what was chosen
    title.textContent = chosen();
    return [
      title,
      legend([
        ...[0, most / 2, most].map((share) => ({ words: share.toFixed(2), colour: colour(share), symbol: box })),
        ...(map.flat().includes(null) ? [{ words: "NaN", colour: colour(null), symbol: box }] : []),
      ]),
      Plot.plot({
        width: margin + 8 + side * numbers.length,
        height: margin + 8 + side * numbers.length,
        marginTop: margin,
        marginLeft: margin,
        marginRight: 8,
        marginBottom: 8,
        style: INK,
        ariaLabel: `Attention: ${chosen()}`,
        x: { ...axis, axis: "top", label: null, tickRotate: -90 },
        y: { ...axis, label: null },
        marks: [
          Plot.cell(cells, {
            ...place,
            fill: ({ share }) => colour(share),
            ariaLabel: words,
          }),
          Plot.frame({ stroke: "var(--line)" }),
          tip(cells, { ...place, title: words }),
        ],
      }),
    ];
  };

  const figure = document.querySelector("figure[data-chart=attention]");
  choices.hidden = false;
  choices.addEventListener("input", () => {
    draw(figure);
    say(chosen());
  });
}
