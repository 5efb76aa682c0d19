// A drawing of the lesson, made in Python. A click on a cell of an output goes back to Python, which draws anew. When
// another page is opened, the lesson is scrolled to its beginning.

function render({ model, el }) {
  const show = () => {
    el.innerHTML = model.get("svg"); // made in Python, where all text is escaped
  };
  const click = (event) => {
    const grid = event.target.closest("[data-grid]");
    if (!grid) return;
    const size = Number(grid.dataset.grid);
    const box = grid.getBoundingClientRect();
    const cell = (at, start, length) => Math.min(size - 1, Math.max(0, Math.floor(((at - start) / length) * size)));
    const row = cell(event.clientY, box.top, box.height);
    const column = cell(event.clientX, box.left, box.width);
    model.send({ kind: "cell", row, column });
  };
  const turn = () => el.closest(".nasviz-lesson")?.scrollIntoView({ block: "start" });
  el.addEventListener("click", click);
  model.on("change:svg", show);
  model.on("change:page", turn);
  show();
  return () => {
    el.removeEventListener("click", click);
    model.off("change:svg", show);
    model.off("change:page", turn);
  };
}

export default { render };
