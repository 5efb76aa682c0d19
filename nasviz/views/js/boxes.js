// Boxes and lines as SVG elements. Text is set as text, never as HTML.

function make(name, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function html(name, className, parent, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
}

function button(parent, text, title, action) {
  const element = html("button", "", parent, text);
  element.type = "button";
  element.title = title;
  element.setAttribute("aria-label", title);
  element.addEventListener("click", action);
  return element;
}

function drawBox(box, live) {
  const open = box.state === "open";
  const classes = [open ? "frame" : "box", open ? "" : box.mark, box.kind >= 0 ? `kind-${box.kind}` : ""];
  const group = make("g", {
    class: classes.filter(Boolean).join(" "), transform: `translate(${box.x} ${box.y})`, "data-id": box.id,
    role: "button", tabindex: -1, "aria-label": box.label, "aria-pressed": false,
  });
  if (box.state) group.setAttribute("aria-expanded", open);
  make("title", {}, group, box.label);
  const { width, height } = box;
  if (box.badge && !open) make("rect", { class: "behind", x: 4, y: -4, width, height, rx: 5 }, group);
  const rect = make("rect", { class: "ground", width, height, rx: 5 }, group);
  if (box.fill) rect.style.fill = box.fill;
  if (box.kind >= 0) make("rect", { class: "strip", x: 1, y: 1, width: 6, height: height - 2, rx: 3 }, group);
  const words = make("g", box.ink ? { style: `fill: ${box.ink}` } : {}, group);
  const left = box.state && live ? 26 : box.kind >= 0 ? 13 : 9;
  make("text", { class: "name", x: left, y: 18 }, words, box.name);
  if (!open) {
    make("text", { x: box.kind >= 0 ? 13 : 9, y: 33 }, words, box.what);
    make("text", { x: box.kind >= 0 ? 13 : 9, y: 47 }, words, box.third);
    let x = 0;
    for (const [kind, share] of box.state ? box.bar : []) {
      make("rect", { class: `part kind-${kind}`, x: 3 + x, y: height - 5, width: share * (width - 6), height: 3 }, group);
      x += share * (width - 6);
    }
  }
  const right = [box.badge, box.sign].filter(Boolean).join(" · ");
  if (right) make("text", { class: "badge", x: width - 7, y: 18, "text-anchor": "end" }, words, right);
  if (!box.state || !live) return group;
  const toggle = make("g", { class: "toggle", transform: "translate(14 14)" }, group);
  make("rect", { x: -14, y: -14, width: 28, height: 28, class: "reach" }, toggle);
  make("rect", { x: -6, y: -6, width: 12, height: 12, rx: 2 }, toggle);
  make("path", { d: open ? "M-3 0H3" : "M-3 0H3M0 -3V3" }, toggle);
  return group;
}

// Elements of which only those in sight are in the document: thousands are slow to make and to paint. An item has its
// `place`, from left and top to right and bottom, and `make`, which gives its element.
function makeLayer(parent) {
  let items = [], shown = new Set();
  const element = (item) => (item.element ??= item.make());
  return {
    element,
    fill: (next) => {
      parent.replaceChildren();
      [items, shown] = [next, new Set()];
    },
    show: ([left, top, right, bottom], kept) => {
      const seen = ({ place }) => place[0] < right && place[2] > left && place[1] < bottom && place[3] > top;
      const wanted = items.filter((item) => item === kept || seen(item));
      const now = new Set(wanted);
      for (const item of shown) if (!now.has(item)) item.element.remove();
      let next = parent.firstChild; // what stays is not moved, so it keeps the focus
      for (const item of wanted) {
        if (element(item) === next) next = next.nextSibling;
        else parent.insertBefore(item.element, next);
      }
      shown = now;
    },
  };
}

function boxItem(box, live) {
  return { box, place: [box.x, box.y - 4, box.x + box.width + 4, box.y + box.height], make: () => drawBox(box, live) };
}

function wireItem(wire) {
  const numbers = wire.path.match(/-?[\d.]+/g).map(Number);
  const [x, y] = [0, 1].map((rest) => numbers.filter((_, i) => i % 2 === rest));
  const item = { tensors: wire.tensors, near: false };
  item.place = [Math.min(...x) - 4, Math.min(...y) - 4, Math.max(...x) + 4, Math.max(...y) + 4];
  item.make = () => make("path", {
    class: item.near ? "wire near" : "wire", d: wire.path, ...(wire.arrow && { "marker-end": "url(#nasviz-arrow)" }),
  });
  return item;
}
