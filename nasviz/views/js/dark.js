// Charts on dark paper. Python writes a figure for light paper; here the colours of the theme become those for dark.

// Deep, but only where a colour stands: a network may be called "white".
function recolour(value, colours, key = "") {
  if (typeof value === "string") {
    if (key === "paper_bgcolor" || key === "plot_bgcolor") return "rgba(0, 0, 0, 0)"; // the page shines through
    return /color(way)?$/.test(key) ? colours[value.toLowerCase()] ?? value : value;
  }
  if (Array.isArray(value)) return value.map((each) => recolour(each, colours, key));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, recolour(inner, colours, name)]));
}

// Whether it is dark behind an element, whoever has made it so: JupyterLab, Voilà, the browser.
function isDark(el) {
  for (let node = el; node; node = node.parentElement) {
    const [red, green, blue, alpha = 1] = getComputedStyle(node).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (red !== undefined && alpha > 0.5) return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
  }
  return false;
}

// Keeps the model's `dark` true to the page around an element. Returns what ends that.
function followTheme(model, el) {
  const look = () => {
    const dark = isDark(el);
    if (!el.isConnected || dark === model.get("dark")) return;
    model.set("dark", dark);
    model.save_changes();
  };
  const later = () => { // a style sheet of the theme may still be on its way, as may be the element
    look();
    setTimeout(look, 400);
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(later);
  const what = { attributes: true, attributeFilter: ["class", "data-theme", "data-jp-theme-light"] };
  for (const node of [document.documentElement, document.body]) observer.observe(node, what);
  system.addEventListener("change", later);
  requestAnimationFrame(later);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", later);
  };
}
