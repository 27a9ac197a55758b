"use strict";
(() => {
  const run = JSON.parse(document.getElementById("report-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const ids = Object.keys(run.pictures.products);
  const SOURCES = ["value", "leverage", "underwater", "target", "trades", "waterfall", "marks"];
  const asked = decodeURIComponent(location.hash.slice(1));
  const LABEL = 64;
  let shown = ids.includes(asked) ? asked : ids[0];
  let model = null;

  // Steps of a range in 32 bits; the first and the last number are as they were.
  function unpacked(column) {
    const bytes = Uint8Array.from(atob(column.data), (one) => one.charCodeAt(0));
    const steps = new DataView(bytes.buffer);
    const count = bytes.length / 4;
    const values = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const step = steps.getUint32(4 * i, true);
      values[i] = step === 0xffffffff ? NaN : column.low + column.step * step;
    }
    column.ends.forEach((end, i) => { values[i === 0 ? 0 : count - 1] = end ?? NaN; });
    return values;
  }

  const color = (role) => run.colors[role][dark.matches ? 1 : 0];

  function columns(source) {
    const found = {};
    for (const [name, values] of Object.entries(source)) {
      found[name] = Array.isArray(values) ? values : unpacked(values);
    }
    if (found.color) found.color = found.color.map(color);
    return found;
  }

  function fill() {
    const picture = run.pictures.products[shown];
    model.get_model_by_name("causes").factors = picture.causes;
    for (const name of SOURCES) model.get_model_by_name(`${name} data`).data = columns(picture[name]);
    fit();
  }

  // To the right of every bar there is room for its number, and below between any two of the axis.
  function fit() {
    const [start, high] = run.pictures.products[shown].amounts;
    const width = Math.max(160, document.getElementById("figure-waterfall").clientWidth - 170);
    const end = high + (high - start) * LABEL / (width - LABEL);
    model.get_model_by_name("amounts").setv({start, end});
    model.get_model_by_name("amount ticks").desired_num_ticks = Math.max(2, Math.floor(width / 90));
  }

  async function draw() {
    let text = JSON.stringify(run.figures.document);
    if (dark.matches) {
      for (const [light, other] of Object.values(run.colors)) text = text.replaceAll(light, other);
    }
    for (const element of Object.values(run.figures.roots)) {
      document.getElementById(element).replaceChildren();
    }
    const item = {docid: "report", roots: run.figures.roots, root_ids: Object.keys(run.figures.roots)};
    await Bokeh.embed.embed_items({report: JSON.parse(text)}, [item]);
    model = Bokeh.documents[Bokeh.documents.length - 1];
    const [start, end] = run.pictures.times;
    model.get_model_by_name("times").setv({start, end, reset_start: start, reset_end: end});
    fill();
  }

  function show(product) {
    shown = product;
    if (product !== ids[0] || location.hash) history.replaceState(null, "", `#${encodeURIComponent(product)}`);
    for (const part of document.querySelectorAll("[data-product]")) {
      part.hidden = part.dataset.product !== product;
    }
    for (const tab of document.querySelectorAll("[data-show]")) {
      tab.setAttribute("aria-selected", String(tab.dataset.show === product));
    }
    for (const name of ["value", "waterfall", "leverage", "underwater"]) {
      const title = document.querySelector(`#card-${name} header:not([hidden]) h2`);
      document.getElementById(`figure-${name}`).setAttribute("aria-label", title.textContent);
    }
    if (model) fill();
  }

  for (const tab of document.querySelectorAll("[data-show]")) {
    tab.addEventListener("click", () => show(tab.dataset.show));
  }
  document.getElementById("choose")?.addEventListener("change", (event) => show(event.target.value));
  dark.addEventListener("change", draw);
  window.addEventListener("resize", () => { if (model) fit(); });
  Bokeh.set_log_level("error");
  show(shown);
  const ready = draw();
  // For those who look at the numbers behind the pictures.
  window.levsim = {ids, show, ready, columns: (name) => model.get_model_by_name(`${name} data`).data};
})();
