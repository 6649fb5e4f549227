// What the chart shows, read from what is drawn: its paths are in seconds, thousandths of the score, and people.

const STEP = /([MlhvHV])(-?\d+)(?: ?(-?\d+))?/g;
const THOUSANDTHS = 1_000;

// Return the stretches of a path, each the points that it goes through.
function walk(path) {
  const runs = [];
  let x = 0, y = 0;
  for (const [, command, first, second] of path.getAttribute("d").matchAll(STEP)) {
    const [a, b] = [Number(first), Number(second)];
    if (command === "M") [x, y] = [a, b];
    else if (command === "l") [x, y] = [x + a, y + b];
    else if (command === "h") x += a;
    else if (command === "v") y += a;
    else if (command === "H") x = a;
    else continue; // back on the ground
    if (command === "M") runs.push([]);
    runs.at(-1).push([x, y]);
  }
  return runs;
}

function readScores(plot, seconds) {
  const scores = new Map(walk(plot.querySelector(".chart-line")).flat().map(([x, y]) => [x, 1 - y / THOUSANDTHS]));
  for (const { cx, cy } of plot.querySelectorAll(".chart-lone")) {
    scores.set(Math.round((cx.baseVal.valueInSpecifiedUnits * seconds) / 100), 1 - cy.baseVal.valueInSpecifiedUnits / 100);
  }
  return scores;
}

// Return when how many were there; null from where on nobody knows.
function readCounts(plot) {
  const area = plot.querySelector(".chart-people");
  if (!area) return [];
  const most = area.ownerSVGElement.viewBox.baseVal.height;
  return walk(area).flatMap((run) => [...run.slice(1).map(([x, y]) => [x, most - y]), [run.at(-1)[0] + 1, null]]);
}

function readSpans(plot, seconds) {
  return [...plot.querySelectorAll(".chart-span, .chart-break, .chart-poll")]
    .map(({ x, width, dataset }) => {
      const from = (x.baseVal.valueInSpecifiedUnits * seconds) / 100;
      return { from, to: from + (width.baseVal.valueInSpecifiedUnits * seconds) / 100, what: dataset.what ?? "planned break" };
    })
    .sort((one, other) => one.from - other.from);
}

function between(edge, x) {
  const next = edge.findIndex(([at]) => at >= x);
  if (next < 0 || edge[0][0] > x) return null;
  const [[x0, y0], [x1, y1]] = [edge[Math.max(0, next - 1)], edge[next]];
  return 1 - (x1 === x0 ? y1 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0)) / THOUSANDTHS;
}

// Return the moments of the sheet's edges.
export const extentOf = ({ dataset }) => [Date.parse(dataset.since), Date.parse(dataset.until)];

// Return what can be read of a chart; places are in seconds from its left edge.
export function readChart(sheet) {
  const plot = sheet.querySelector(".chart-plot");
  const seconds = plot.querySelector(".chart-line").ownerSVGElement.viewBox.baseVal.width;
  const [since, until] = extentOf(sheet);
  const scores = readScores(plot, seconds);
  const counts = readCounts(plot);
  const [upper = [], lower = []] = walk(plot.querySelector(".chart-band-edges"));
  const spans = readSpans(plot, seconds);
  const places = [...new Set([...scores.keys(), ...counts.filter(([, count]) => count !== null).map(([x]) => x)])];
  return {
    seconds,
    places: places.sort((one, other) => one - other),
    starts: [...new Set(spans.map(({ from }) => from))],
    plotShare: plot.querySelector(".chart-line").ownerSVGElement.parentElement.height.baseVal.valueInSpecifiedUnits / 100,
    momentOf: (x) => since + (x / seconds) * (until - since),
    placeOf: (at) => ((at - since) / (until - since)) * seconds,
    at: (x) => ({
      score: scores.get(x),
      expected: [between(lower, x), between(upper, x)],
      people: counts.findLast(([from]) => from <= x)?.[1],
      spans: spans.filter(({ from, to }) => Math.round(from) <= x && x <= to),
    }),
  };
}
