// The buttons that save a view. They also tell Python whether the view is narrow, and keep the chart as wide as its place.
const NARROW = 700; // pixels

function initialize({ model }) {
  // Python answers a click with the bytes of the file; the browser keeps it as a download, without any request.
  model.on("msg:custom", (message, buffers) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
    link.download = message.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}

function render({ model, el }) {
  el.classList.add("nasviz-toolbar");
  el.setAttribute("role", "toolbar");
  el.setAttribute("aria-label", "Save this view");
  for (const format of model.get("formats")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format.toUpperCase();
    button.setAttribute("aria-label", `Save as ${format.toUpperCase()}`);
    button.title = `Save as ${format.toUpperCase()}`;
    button.addEventListener("click", () => model.send({ save: format }));
    el.append(button);
  }

  let panel = null;
  let width = 0;
  const describe = () => {
    const chart = panel?.querySelector(".nasviz-chart");
    chart?.setAttribute("role", "figure");
    chart?.setAttribute("aria-label", model.get("description"));
  };
  // Seen are the panel, which the reader's window makes wide or narrow, and the place of the chart, where it may be new.
  const observer = new ResizeObserver(() => {
    if (!panel.clientWidth) return;
    if (panel.clientWidth !== width) {
      width = panel.clientWidth;
      model.set("narrow", width < NARROW);
      model.save_changes();
    }
    requestAnimationFrame(() => window.dispatchEvent(new Event("resize"))); // plotly measures its place again
  });
  const find = () => {
    panel = el.closest(".nasviz-panel");
    if (!panel) {
      waiting = requestAnimationFrame(find); // not in the page yet
      return;
    }
    observer.observe(panel);
    const chart = panel.querySelector(".nasviz-chart");
    if (chart) observer.observe(chart);
    describe();
  };
  let waiting = requestAnimationFrame(find);
  model.on("change:description", describe);
  return () => {
    cancelAnimationFrame(waiting);
    observer.disconnect();
    model.off("change:description", describe);
  };
}

export default { initialize, render };
