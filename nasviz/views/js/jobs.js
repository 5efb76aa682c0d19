// The jobs of a run: how far they are, buttons to stop them, to download what they made, to remove them. Python is
// asked for news as long as the page shows the list.

function render({ model, el }) {
  el.classList.add("nasviz-jobs");
  const list = document.createElement("ul");
  list.setAttribute("aria-label", "Jobs");
  list.setAttribute("aria-live", "polite");
  el.append(list);
  const rows = new Map();

  const button = (row, text, kind, job) => {
    const element = document.createElement("button");
    element.type = "button";
    element.textContent = text;
    element.setAttribute("aria-label", `${text}: ${job.title}`);
    element.addEventListener("click", () => model.send({ kind, id: job.id }));
    row.append(element);
  };
  const fill = (row, job) => {
    const focused = row.contains(document.activeElement) ? document.activeElement.textContent : null;
    row.replaceChildren();
    row.className = job.status;
    const title = document.createElement("b");
    title.textContent = job.title;
    row.append(title);
    if (job.active) {
      const bar = document.createElement("progress");
      bar.max = 1;
      bar.value = job.progress;
      bar.setAttribute("aria-label", job.title);
      row.append(bar);
    }
    const text = document.createElement("span");
    text.textContent = job.text;
    row.append(text);
    for (const [kind, label] of job.buttons) button(row, label, kind, job);
    if (focused) [...row.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
  };
  const show = () => {
    const jobs = JSON.parse(model.get("jobs"));
    const seen = new Set(jobs.map((job) => job.id));
    for (const [id, { row }] of rows) {
      if (seen.has(id)) continue;
      row.remove();
      rows.delete(id);
    }
    jobs.forEach((job, i) => {
      const known = rows.get(job.id) ?? { row: document.createElement("li"), text: "" };
      rows.set(job.id, known);
      const text = JSON.stringify(job);
      if (known.text !== text) fill(known.row, job); // what stays keeps the focus
      known.text = text;
      if (list.children[i] !== known.row) list.insertBefore(known.row, list.children[i] ?? null);
    });
  };

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
  const answered = (message) => message.kind === "tock" && count();

  model.on("change:jobs", show);
  model.on("change:interval", count);
  model.on("msg:custom", answered);
  show();
  count();
  return () => {
    clearTimeout(timer);
    model.off("change:jobs", show);
    model.off("change:interval", count);
    model.off("msg:custom", answered);
  };
}

export default { initialize, render };
