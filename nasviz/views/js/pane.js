// One network on the page: its title, its buttons, its drawing, and how keys and clicks walk through it.

const TALLEST = 640; // of a drawing, in pixels
const AROUND = 150; // pixels beyond what is seen that are drawn, too

// `act` tells Python what the user does.
function makePane(parent, act) {
  const pane = html("section", "nasviz-pane", parent);
  const head = html("div", "nasviz-pane-head", pane);
  const title = html("span", "nasviz-pane-title", head);
  const stage = html("div", "nasviz-stage", pane);
  stage.dataset.lmSuppressShortcuts = "true"; // of JupyterLab, which would take the keys
  const svg = make("svg", { role: "group", class: "drawing" }, stage);
  const world = make("g", { class: "world" }, svg);
  const viewport = makeViewport(stage, world, () => paint());
  const map = makeMap(make("svg", { class: "map", "aria-hidden": true }, stage), viewport, stage);
  const tools = html("span", "nasviz-save", head);
  button(tools, "−", "Zoom out", () => viewport.zoom(1 / STEP));
  button(tools, "+", "Zoom in", () => viewport.zoom(STEP));
  button(tools, "Fit", "Show the whole network", () => viewport.fit());
  button(tools, "1:1", "Back to the beginning", () => viewport.start());
  const [frames, lines, boxes] = ["frames", "wires", "boxes"].map((name) => makeLayer(make("g", { class: name }, world)));
  let drawing = { boxes: [], wires: [], width: 1, height: 1 };
  let items = new Map(), wires = [], chosen = null, anchor = null;

  const find = (id) => items.get(id)?.box;
  const element = (id) => boxes.element(items.get(id));
  const paint = () => {
    const { x, y, k } = viewport.view;
    const [left, top] = [(-x - AROUND) / k, (-y - AROUND) / k];
    const area = [left, top, left + (stage.clientWidth + 2 * AROUND) / k, top + (stage.clientHeight + 2 * AROUND) / k];
    const kept = chosen ?? items.values().next().value; // Tab comes here
    for (const layer of [frames, lines, boxes]) layer.show(area, kept);
    map.show(viewport.view);
  };
  const choose = (id) => {
    if (chosen) {
      boxes.element(chosen).setAttribute("aria-pressed", false);
      boxes.element(chosen).setAttribute("tabindex", -1);
    }
    chosen = items.get(id) ?? null;
    const stop = chosen ?? items.values().next().value;
    if (stop) boxes.element(stop).setAttribute("tabindex", 0);
    if (chosen) boxes.element(chosen).setAttribute("aria-pressed", true);
    const near = new Set(chosen ? [...chosen.box.reads, ...chosen.box.makes] : []);
    for (const item of wires) {
      item.near = item.tensors.some((each) => near.has(each));
      item.element?.classList.toggle("near", item.near);
    }
    if (chosen) viewport.reveal(chosen.box);
    paint();
  };
  const toggle = (id) => {
    const box = find(id);
    if (!box?.state) return;
    anchor = { id, x: box.x * viewport.view.k + viewport.view.x, y: box.y * viewport.view.k + viewport.view.y };
    act.toggle(id);
  };
  const go = (box) => {
    if (!box) return;
    choose(box.id); // so that it is in the document
    element(box.id).focus({ preventScroll: true });
    act.choose(box.id);
  };
  const show = (next, live) => {
    const focused = world.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    [drawing, chosen] = [next, null];
    items = new Map(next.boxes.map((box) => [box.id, boxItem(box, live)]));
    wires = next.wires.map(wireItem);
    const all = [...items.values()];
    frames.fill(all.filter(({ box }) => box.state === "open"));
    boxes.fill(all.filter(({ box }) => box.state !== "open"));
    lines.fill(wires);
    title.textContent = next.title;
    svg.setAttribute("aria-label", next.title);
    const top = next.boxes[0];
    viewport.resize(next.width, next.height, top ? top.x + top.width / 2 : 0);
    map.draw(next);
    stage.style.height = `${Math.max(140, Math.min(TALLEST, next.height))}px`;
    const box = anchor && find(anchor.id);
    if (box) { // what was opened or closed stays where it is
      const { view } = viewport;
      viewport.pan(anchor.x - box.x * view.k - view.x, anchor.y - box.y * view.k - view.y);
    } else viewport.settle();
    anchor = null;
    if (!items.has(focused)) return;
    choose(focused);
    element(focused).focus({ preventScroll: true });
  };

  const at = (event) => event.target.closest?.("[data-id]")?.dataset.id;
  world.addEventListener("click", (event) => {
    if (viewport.dragged() || at(event) === undefined) return;
    if (event.target.closest(".toggle")) toggle(at(event));
    else go(find(at(event)));
  });
  world.addEventListener("dblclick", (event) => !event.target.closest(".toggle") && toggle(at(event)));
  world.addEventListener("focusin", (event) => at(event) !== undefined && act.choose(at(event)));
  const around = (box) => drawing.boxes.filter((other) => other !== box && other.state === "open"
    && other.x <= box.x && other.y <= box.y && other.x + other.width >= box.x + box.width
    && other.y + other.height >= box.y + box.height).at(-1);
  const meets = (one, two) => one.some((tensor) => two.includes(tensor));
  const walk = (box, key) => {
    const all = drawing.boxes, closed = all.filter((other) => other.state !== "open" && other !== box);
    const i = all.indexOf(box);
    if (key === "ArrowRight") return closed.find((other) => meets(box.makes, other.reads));
    if (key === "ArrowLeft") return closed.findLast((other) => meets(other.makes, box.reads));
    if (key === "ArrowDown") return all[i + 1];
    if (key === "ArrowUp") return all[i - 1];
    if (key === "Home") return all[0];
    if (key === "End") return all.at(-1);
    return key === "Escape" ? around(box) : undefined;
  };
  const PANS = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
  const WALKS = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "Home", "End", "Escape"];
  stage.addEventListener("keydown", (event) => {
    const box = find(at(event));
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && PANS[event.key]) viewport.pan(...PANS[event.key]);
    else if (event.key === "+" || event.key === "=") viewport.zoom(STEP);
    else if (event.key === "-") viewport.zoom(1 / STEP);
    else if (event.key === "0") viewport.fit();
    else if (box && (event.key === "Enter" || event.key === " ")) toggle(box.id);
    else if (box && WALKS.includes(event.key)) go(walk(box, event.key));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { show, choose, remove: () => pane.remove(), width: () => stage.clientWidth, settle: () => viewport.settle() };
}
