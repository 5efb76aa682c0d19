// The drawing of one or two networks. Python says what stands where; here it is drawn, moved and walked through.

const BESIDE = 640; // from this width on two networks stand side by side

function drawLegend(place, legend) {
  place.replaceChildren();
  for (const [kind, name] of legend.kinds ?? []) {
    const item = html("span", "", place);
    html("i", `swatch kind-${kind}`, item);
    item.append(name);
  }
  if (legend.stops) {
    html("span", "", place, `${legend.title}: ${legend.ends[0]}`);
    html("i", "ramp", place).style.background = `linear-gradient(to right, ${legend.stops.join(", ")})`;
    html("span", "", place, legend.ends[1]);
  }
  for (const mark of legend.marks) html("span", `mark ${mark.split(" ")[1]}`, place, mark);
}

function render({ model, el }) {
  el.classList.add("nasviz-chart", "nasviz-network");
  if (model.get("formats").length) el.append(saveButtons(model));
  const legend = html("div", "nasviz-legend", el);
  const place = html("div", "nasviz-panes", el);
  const defs = make("defs", {}, make("svg", { width: 0, height: 0, "aria-hidden": true, class: "defs" }, el));
  const arrow = make("marker", {
    id: "nasviz-arrow", viewBox: "0 0 6 6", refX: 6, refY: 3, markerWidth: 8, markerHeight: 8, orient: "auto",
    markerUnits: "userSpaceOnUse",
  }, defs);
  make("path", { d: "M0 0L6 3L0 6z" }, arrow);
  const picture = html("img", "", el);
  const act = {
    choose: (id) => {
      if (model.get("chosen") === id) return;
      model.set("chosen", id);
      model.save_changes();
    },
    toggle: (id) => model.send({ kind: "click", id }),
  };
  const panes = [];

  const choose = () => panes.forEach((pane) => pane.choose(model.get("chosen")));
  const redraw = () => {
    const { drawings, legend: words, live } = JSON.parse(model.get("figure"));
    if (!drawings) return;
    while (panes.length > drawings.length) panes.pop().remove();
    while (panes.length < drawings.length) panes.push(makePane(place, act));
    drawLegend(legend, words);
    drawings.forEach((drawing, i) => panes[i].show(drawing, live));
    choose();
  };
  const describe = () => {
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", model.get("description"));
    picture.alt = model.get("description");
  };
  const show = () => {
    const data = model.get("picture");
    picture.hidden = !data;
    place.hidden = legend.hidden = Boolean(data);
    if (data) picture.src = `data:image/png;base64,${data}`;
    else picture.removeAttribute("src");
  };
  const measure = () => {
    if (!el.clientWidth || place.hidden || !panes.length) return;
    place.classList.toggle("beside", el.clientWidth >= BESIDE && panes.length > 1);
    for (const pane of panes) pane.settle();
    const space = Math.floor(panes[0].width() / 20) * 20; // in steps, as a scroll bar more or less is no reason to draw
    if (space === model.get("space")) return;
    model.set("space", space);
    model.save_changes();
  };
  const observer = new ResizeObserver(measure);
  const endWatch = followTheme(model, el); // the drawing follows by itself; the picture comes from Python
  const changes = { figure: redraw, chosen: choose, description: describe, picture: show };
  for (const [name, react] of Object.entries(changes)) model.on(`change:${name}`, react);
  describe();
  show();
  redraw();
  measure();
  observer.observe(el);
  return () => {
    observer.disconnect();
    endWatch();
    for (const [name, react] of Object.entries(changes)) model.off(`change:${name}`, react);
  };
}

export default { initialize, render };
