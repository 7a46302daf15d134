"use strict";
// Draws every chart from the specification beside it, at the width it has; the text is readable before and without.
const shared = JSON.parse(document.getElementById("chart-config").textContent);
const places = [...document.querySelectorAll("[data-chart]")];
const views = new Map();

// A stacked chart cannot take the width of its place by itself: its views get what the axis labels leave.
function fitted(spec, width, labels) {
  const stacked = spec.vconcat ? { vconcat: spec.vconcat.map((view) => ({ ...view, width })) } : {};
  return { ...spec, ...stacked, config: { ...shared, axis: { ...shared.axis, labelLimit: labels } } };
}

async function draw(place) {
  const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  const labels = place.clientWidth < 480 ? 92 : 170;
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    tooltip: { theme: "plain", disableDefaultStyle: true },
  };
  const result = await vegaEmbed(place, fitted(spec, Math.max(160, place.clientWidth - labels - 16), labels), options);
  views.get(place)?.finalize();
  views.set(place, result);
}

async function drawAll() {
  let drawn = 0;
  for (const place of places) {
    try {
      await draw(place);
      drawn += 1;
    } catch (fault) {
      place.textContent = `This chart could not be drawn (${fault.message}). Its numbers are in the tables.`;
      console.error(fault);
    }
  }
  document.documentElement.dataset.charts = `${drawn}/${places.length}`;
}

let width = document.documentElement.clientWidth;
let waiting = 0;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (Math.abs(document.documentElement.clientWidth - width) < 16) return;
    width = document.documentElement.clientWidth;
    drawAll();
  }, 250);
});
drawAll();
