// What of the chart is shown. A push draws it anew in its place, so that focus and reading stay where they are.

const REDRAWN = ["figcaption", ".chart-sheet", ".chart-scale"];

function redraw(figure, next) {
  for (const part of REDRAWN) figure.querySelector(part).replaceWith(next.querySelector(part));
  figure.toggleAttribute("data-stale", next.hasAttribute("data-stale"));
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const [figure, next] = [detail.target, detail.fragment.firstElementChild];
  if (figure.id !== "engagement-chart" || ![figure, next].every((each) => each.querySelector(".chart-sheet"))) return;
  detail.shouldSwap = false;
  redraw(figure, next);
});
