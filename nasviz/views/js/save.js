// The buttons that save a view, for every widget that shows one; it stands before the widget's own code.

function saveButtons(model) {
  const bar = document.createElement("div");
  bar.className = "nasviz-save";
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Save this view");
  for (const format of model.get("formats")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format.toUpperCase();
    button.title = `Save as ${format.toUpperCase()}`;
    button.setAttribute("aria-label", button.title);
    button.addEventListener("click", () => model.send({ kind: "save", format }));
    bar.append(button);
  }
  return bar;
}

// Python answers a click on a button with the bytes of the file; the browser keeps them as a download.
function download(message, buffers) {
  if (message.kind !== "file") return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
  link.download = message.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function initialize({ model }) {
  model.on("msg:custom", download);
}
