"use strict";
// The attention map of the block and head that are chosen, drawn from the page's JSON.

{
  const { attention } = JSON.parse(document.getElementById("documents").textContent);
  const choices = document.querySelector("#attention .choices");
  const [block, head] = choices.querySelectorAll("select");
  const letters = 12; // of a token at an axis
  const brief = (number) => {
    const token = attention.tokens[number];
    return token.length > letters ? `${token.slice(0, letters - 1)}…` : token;
  };

  const chosen = () => `Block ${attention.blocks[block.value]}, head ${head.value}`;

  charts.attention = (figure) => {
    const map = attention.probabilities[block.value][head.value];
    const most = Math.max(...map.flat());
    const colour = (share) => (share === null ? "var(--second)" : `color-mix(in oklab, var(--accent) ${Math.round((100 * share) / most)}%, var(--ground))`);
    const box = (fill) => Plot.rect([0], { x1: 0, x2: 1, y1: 0, y2: 1, fill, stroke: "var(--line)" });
    const cells = map.flatMap((row, from) => row.map((share, to) => ({ from, to, share })));
    const numbers = d3.range(attention.tokens.length);
    const margin = 16 + 7 * Math.max(...numbers.map((number) => brief(number).length));
    const side = Math.min((figure.clientWidth - margin - 8) / numbers.length, 34);
    const every = Math.max(1, Math.ceil(11 / side));
    const axis = { type: "band", domain: numbers, padding: 0, tickSize: 0, tickFormat: brief, ticks: numbers.filter((number) => number % every === 0) };
    const words = ({ from, to, share }) => `${attention.tokens[from]} looks at ${attention.tokens[to]}: ${share === null ? "NaN" : share.toFixed(2)}`;
    const place = { x: "to", y: "from" };
    const title = document.createElement("p"); // on paper, it is all that says what was chosen
    title.textContent = chosen();
    return [
      title,
      legend([0, most / 2, most].map((share) => ({ words: share.toFixed(2), colour: colour(share), symbol: box }))),
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
