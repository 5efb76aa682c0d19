// A table whose column headers are buttons. Python orders the rows; here only the clicks are passed on.

function render({ model, el }) {
  const show = () => {
    const sorted = el.contains(document.activeElement) ? document.activeElement.dataset.sort : undefined;
    const [x, y] = [el.querySelector(".nasviz-table")?.scrollLeft ?? 0, el.querySelector(".nasviz-table")?.scrollTop ?? 0];
    el.innerHTML = model.get("html"); // made in Python, where all data is escaped
    el.querySelector(".nasviz-table")?.scrollTo(x, y);
    if (sorted === undefined) return;
    for (const button of el.querySelectorAll("button[data-sort]")) if (button.dataset.sort === sorted) button.focus();
  };
  const click = (event) => {
    const button = event.target.closest("button[data-sort]");
    if (button) model.send({ kind: "sort", column: button.dataset.sort });
  };
  el.addEventListener("click", click);
  model.on("change:html", show);
  show();
  return () => {
    el.removeEventListener("click", click);
    model.off("change:html", show);
  };
}

export default { render };
