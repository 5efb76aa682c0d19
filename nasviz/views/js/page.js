// A drawing in a page without a kernel: what it would ask Python for stands in the page.

function start(values) {
  const listeners = {};
  const model = {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      listeners[`change:${name}`]?.();
      document.getElementById("details").innerHTML = values.details[values.chosen] ?? ""; // escaped in Python
    },
    on: (name, react) => { listeners[name] = react; },
    off: () => {},
    send: () => {},
    save_changes: () => {},
  };
  model.set("chosen", "");
  render({ model, el: document.getElementById("network") });
}
