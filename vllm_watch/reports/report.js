// Values under the pointer: one moment over all charts of a run. Everything is readable without it.
"use strict";
for (const run of document.querySelectorAll(".run")) {
  const charts = [...run.querySelectorAll("svg[data-box]")].map((svg) => {
    const data = svg.dataset, figure = svg.closest("figure");
    const [left, right, width] = data.box.split(" ").map(Number);
    return {
      svg, left, right, width,
      times: JSON.parse(data.times || "[]"), values: JSON.parse(data.values || "[]"),
      states: JSON.parse(data.states || "[]"), cursor: svg.querySelector(".cursor"),
      outputs: [...figure.querySelectorAll("output")],
    };
  });
  if (!charts.length) continue;
  const begin = Number(run.dataset.begin), length = Number(run.dataset.length);
  const offset = Number(run.dataset.offset);
  for (const chart of charts) chart.rest = chart.outputs.map((output) => output.textContent);
  const clock = (seconds) => new Date((begin + offset + seconds) * 1000).toISOString()
    .slice(length > 86400 ? 5 : 11, 19).replace("T", " ");
  const told = (value) => value === null || value === undefined ? "–"
    : Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en-US")
    : value >= 1 ? value.toFixed(1) : String(Number(value.toPrecision(2)));
  let share = null;
  const show = () => {
    for (const chart of charts) {
      chart.cursor.classList.toggle("on", share !== null);
      if (share === null) {
        chart.outputs.forEach((output, index) => { output.textContent = chart.rest[index]; });
        continue;
      }
      const at = share * length;
      const x = chart.width * (chart.left + share * (1 - chart.left - chart.right));
      chart.cursor.setAttribute("x1", x);
      chart.cursor.setAttribute("x2", x);
      if (chart.times.length) {
        let nearest = 0;
        chart.times.forEach((time, index) => {
          if (Math.abs(time - at) < Math.abs(chart.times[nearest] - at)) nearest = index;
        });
        const near = Math.abs(chart.times[nearest] - at) <= Math.max(30, length / 50);
        chart.outputs.forEach((output, index) => {
          const [values, lows, highs] = chart.values[index];
          output.textContent = told(near ? values[nearest] : null) + (near && lows.length
            && lows[nearest] !== highs[nearest] ? ` (${told(lows[nearest])}–${told(highs[nearest])})` : "");
        });
      } else {
        const state = chart.states.filter((entry) => entry[0] <= share).pop();
        chart.outputs[0].textContent = clock(at) + (state ? " " + state[1] : "");
      }
    }
  };
  const move = (to) => { share = to === null ? null : Math.min(1, Math.max(0, to)); show(); };
  for (const chart of charts) {
    chart.svg.addEventListener("pointermove", (event) => {
      const box = chart.svg.getBoundingClientRect();
      const inside = (event.clientX - box.left) / box.width - chart.left;
      move(inside / (1 - chart.left - chart.right));
    });
    chart.svg.addEventListener("pointerleave", () => move(null));
  }
  const ribbon = charts[0].svg;
  ribbon.setAttribute("tabindex", "0");
  ribbon.addEventListener("blur", () => move(null));
  ribbon.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.005, ArrowRight: 0.005 }[event.key];
    if (step) { move((share === null ? 0.5 : share) + step); event.preventDefault(); }
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent)
      .then(() => { button.textContent = "copied"; });
  });
}
