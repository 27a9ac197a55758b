"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const ids = [...new Set([...document.querySelectorAll("[data-product]")].map((one) => one.dataset.product))];
  const SOURCES = ["value", "leverage", "underwater", "target", "trades", "waterfall", "marks"];
  const asked = decodeURIComponent(location.hash.slice(1));
  const LABEL = 64;
  let shown = ids.includes(asked) ? asked : ids[0];
  let run = null;
  let model = null;

  async function unpacked(part) {
    const packed = atob(document.getElementById(part).textContent);
    const bytes = Uint8Array.from(packed, (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  // Each number as steps from the one before; the first and the last are as they were.
  function summed(column) {
    const count = column.steps.length;
    const values = new Float64Array(count);
    let steps = 0;
    column.steps.forEach((more, i) => {
      steps += more ?? 0;
      values[i] = more === null ? NaN : column.low + column.step * steps;
    });
    column.ends.forEach((end, i) => { values[i === 0 ? 0 : count - 1] = end ?? NaN; });
    return values;
  }

  const color = (role) => run.colors[role][dark.matches ? 1 : 0];

  function columns(source) {
    const found = {};
    for (const [name, values] of Object.entries(source)) {
      found[name] = Array.isArray(values) ? values : summed(values);
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

  // Bokeh and what it draws are packed; of the other charts all but the first product's, too.
  async function begin() {
    if (typeof DecompressionStream === "undefined") {
      told("This browser is too old to unpack the pictures; Chrome 80, Firefox 113 and Safari 16.4 can");
      return;
    }
    try {
      run = JSON.parse(await unpacked("packed-data"));
      for (const place of document.querySelectorAll("[data-chart]")) {
        place.outerHTML = run.charts[place.dataset.chart];
      }
      const bokeh = document.createElement("script");
      bokeh.textContent = await unpacked("packed-bokeh");
      document.head.append(bokeh);
      Bokeh.set_log_level("error");
      await draw();
    } catch (error) {
      told(`The pictures could not be drawn (${error.message})`);
      throw error;
    }
  }

  function told(why) {
    const place = document.getElementById("no-pictures");
    place.textContent = `${why}. Every number is in the tables.`;
    place.hidden = false;
    for (const empty of document.querySelectorAll(".figure, .axis")) empty.hidden = true;
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
  dark.addEventListener("change", () => { if (model) draw(); });
  window.addEventListener("resize", () => { if (model) fit(); });
  show(shown);
  const ready = begin();
  // For those who look at the numbers behind the pictures.
  window.levsim = {ids, show, ready, columns: (name) => model.get_model_by_name(`${name} data`).data};
})();
