// A table whose column headers are buttons, and whose rows can be clicked if they have keys. Python orders the rows;
// here only the clicks are passed on.

function render({ model, el }) {
  const show = () => {
    const { sort, key } = el.contains(document.activeElement) ? document.activeElement.dataset : {};
    const [x, y] = [el.querySelector(".nasviz-table")?.scrollLeft ?? 0, el.querySelector(".nasviz-table")?.scrollTop ?? 0];
    el.innerHTML = model.get("html"); // made in Python, where all data is escaped
    el.querySelector(".nasviz-table")?.scrollTo(x, y);
    for (const button of el.querySelectorAll("button[data-sort]")) {
      if (sort !== undefined && button.dataset.sort === sort) button.focus();
    }
    for (const row of el.querySelectorAll("tr[data-key]")) if (key !== undefined && row.dataset.key === key) row.focus();
  };
  const click = (event) => {
    const button = event.target.closest("button[data-sort]"), row = event.target.closest("tr[data-key]");
    if (button) model.send({ kind: "sort", column: button.dataset.sort });
    else if (row) model.send({ kind: "row", key: row.dataset.key });
  };
  const press = (event) => {
    if (event.target.dataset.key === undefined || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    model.send({ kind: "row", key: event.target.dataset.key });
  };
  el.addEventListener("click", click);
  el.addEventListener("keydown", press);
  model.on("change:html", show);
  show();
  return () => {
    el.removeEventListener("click", click);
    el.removeEventListener("keydown", press);
    model.off("change:html", show);
  };
}

export default { render };
