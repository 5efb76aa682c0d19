// A chart of plotly with its save buttons.
//
// plotly.js comes from Python, once a page, when the first chart is drawn. So no server is asked, and this module is
// loaded at once: anywidget gives up for good on a widget whose module takes more than two seconds, which the 5 MB of
// plotly's own FigureWidget do on a slow or busy computer.

const NARROW = 480; // pixels; below it Python puts panels one below the other
const CONFIG = {
  displaylogo: false,
  editSelection: false, // its handles would cover points
  modeBarButtonsToRemove: ["toImage", "sendDataToCloud", "sendChartToCloud"], // the buttons below save; nothing is sent
};

async function loadPlotly(model) {
  if (globalThis.nasvizPlotly) return globalThis.nasvizPlotly;
  const code = await new Promise((resolve) => {
    const receive = (message, buffers) => {
      if (message.kind !== "plotly") return;
      model.off("msg:custom", receive);
      resolve(buffers[0]);
    };
    model.on("msg:custom", receive);
    model.send({ kind: "plotly" });
  });
  if (!globalThis.nasvizPlotly) {
    const other = globalThis.Plotly; // of the page, perhaps of another version: it stays
    await runScript(code);
    globalThis.nasvizPlotly = globalThis.Plotly;
    globalThis.Plotly = other;
  }
  return globalThis.nasvizPlotly;
}

function runScript(code) {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = resolve;
    script.onerror = () => reject(new Error("the browser refuses to run plotly.js"));
    document.head.append(script);
  }).finally(() => URL.revokeObjectURL(url));
}

function render({ model, el }) {
  const place = document.createElement("div");
  const picture = document.createElement("img");
  el.classList.add("nasviz-chart");
  el.append(saveButtons(model), place, picture);
  let plotly = null; // once it has drawn
  let width = 0;

  const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);
  const selectedHere = () => [...(place.data?.[0]?.selectedpoints ?? [])];
  const tell = (event) => {
    const points = (event?.points ?? []).filter((point) => point.curveNumber === 0);
    model.set("selected", points.map((point) => point.pointIndex).sort((a, b) => a - b));
    model.save_changes();
  };

  const draw = async () => {
    const loaded = await loadPlotly(model);
    const figure = JSON.parse(model.get("figure")); // read after waiting: always the latest
    const { data, layout } = model.get("dark") ? recolour(figure, model.get("colours")) : figure;
    await loaded.react(place, data, layout, CONFIG);
    if (plotly) return;
    plotly = loaded;
    place.on("plotly_selected", (event) => event && tell(event));
    place.on("plotly_deselect", () => tell(null));
    place.on("plotly_click", (event) => {
      const point = event.points.find((each) => each.id !== undefined); // only traces with ids take clicks
      if (point) model.send({ kind: "click", id: String(point.id) });
    });
    resize();
  };
  const redraw = () => {
    draw().catch((error) => {
      place.textContent = `This chart cannot be drawn: ${error.message}. The table beside it holds the data.`;
    });
  };
  const select = () => {
    const wanted = model.get("selected");
    if (plotly && !same(wanted, selectedHere())) {
      plotly.restyle(place, { selectedpoints: [wanted.length ? wanted : null] }, [0]);
    }
  };
  const describe = () => {
    place.setAttribute("role", "img");
    place.tabIndex = 0; // so that the description is met on the way through the page by keyboard
    place.setAttribute("aria-label", model.get("description"));
    picture.alt = model.get("description");
  };
  const show = () => {
    const data = model.get("picture");
    picture.hidden = !data;
    place.hidden = Boolean(data);
    if (data) picture.src = `data:image/png;base64,${data}`;
    else picture.removeAttribute("src");
    resize();
  };
  const resize = () => {
    if (plotly && !place.hidden && el.clientWidth) plotly.Plots.resize(place);
  };
  const observer = new ResizeObserver(() => {
    if (!el.clientWidth || el.clientWidth === width) return;
    width = el.clientWidth;
    model.set("narrow", width < NARROW);
    model.save_changes();
    resize();
  });

  const endWatch = followTheme(model, el);

  // While the page shows the chart, Python is asked for news; the next time counts from its answer.
  let timer = 0;
  const tick = () => {
    try {
      model.send({ kind: "tick" });
    } catch { // no connection at the moment: the page is left, or the kernel starts again
      count();
    }
  };
  const count = () => {
    clearTimeout(timer);
    const interval = model.get("interval");
    if (interval) timer = setTimeout(tick, interval);
  };
  const answered = (message) => {
    if (message.kind === "tock") count();
  };

  const changes = { figure: redraw, dark: redraw, selected: select, description: describe, picture: show, interval: count };
  for (const [name, react] of Object.entries(changes)) model.on(`change:${name}`, react);
  model.on("msg:custom", answered);
  count();
  describe();
  show();
  redraw();
  observer.observe(el);
  return () => {
    observer.disconnect();
    endWatch();
    clearTimeout(timer);
    model.off("msg:custom", answered);
    for (const [name, react] of Object.entries(changes)) model.off(`change:${name}`, react);
    if (plotly) plotly.purge(place);
  };
}

export default { initialize, render };
