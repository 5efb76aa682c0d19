// A drawing that is moved and scaled in its frame: by mouse, wheel, fingers and keys.

const CLOSEST = 4, FARTHEST = 0.02, STEP = 1.25;
const SMALL = 0.5; // below this scale words cannot be read and are left out

// `stage` is the element that shows a part of `world`, an SVG group of the given size.
function makeViewport(stage, world, moved) {
  const view = { x: 0, y: 0, k: 1 };
  let size = { width: 1, height: 1, first: 0 };
  const fingers = new Map();
  let travelled = 0; // pixels since the first finger came down
  let own = false; // whether the user has moved or scaled the drawing

  const room = (length, shown) => (length < shown ? [0, shown - length] : [shown - length, 0]);
  const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);
  const apply = () => {
    view.x = clamp(view.x, room(size.width * view.k, stage.clientWidth));
    view.y = clamp(view.y, room(size.height * view.k, stage.clientHeight));
    world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
    world.classList.toggle("far", view.k < SMALL);
    moved(view);
  };
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const zoom = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const k = clamp(view.k * factor, [FARTHEST, CLOSEST]);
    view.x = x - ((x - view.x) * k) / view.k;
    view.y = y - ((y - view.y) * k) / view.k;
    view.k = k;
    own = true;
    apply();
  };
  const pan = (dx, dy) => {
    const before = [view.x, view.y];
    view.x += dx;
    view.y += dy;
    own = true;
    apply();
    return view.x !== before[0] || view.y !== before[1];
  };
  const fit = () => {
    view.k = clamp(Math.min(stage.clientWidth / size.width, stage.clientHeight / size.height, 1), [FARTHEST, CLOSEST]);
    view.x = (stage.clientWidth - size.width * view.k) / 2;
    view.y = 0;
    apply();
  };
  // The whole width, if words can then be read, and the beginning: with the first box in the middle, if that helps.
  const start = () => {
    view.k = clamp(stage.clientWidth / size.width, [SMALL, 1]);
    view.x = stage.clientWidth / 2 - (size.width * view.k <= stage.clientWidth ? size.width / 2 : size.first) * view.k;
    view.y = 0;
    own = false;
    apply();
  };
  const reveal = (box) => {
    const [left, top] = [box.x * view.k + view.x, box.y * view.k + view.y];
    const [width, height] = [box.width * view.k, Math.min(box.height * view.k, 60)];
    const dx = left < 0 ? -left + 12 : Math.min(0, stage.clientWidth - left - width - 12);
    const dy = top < 0 ? -top + 12 : Math.min(0, stage.clientHeight - top - height - 12);
    if (dx || dy) pan(width > stage.clientWidth ? Math.max(0, -left + 12) : dx, dy);
  };

  const middle = () => {
    const points = [...fingers.values()];
    const [x, y] = [0, 1].map((i) => points.reduce((sum, point) => sum + point[i], 0) / points.length);
    const apart = points.length > 1 ? Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]) : 0;
    return { x, y, apart };
  };
  const down = (event) => {
    if (event.button) return;
    if (!fingers.size) travelled = 0;
    fingers.set(event.pointerId, place(event));
  };
  const move = (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = middle();
    fingers.set(event.pointerId, place(event));
    const after = middle();
    travelled += Math.hypot(after.x - before.x, after.y - before.y) + Math.abs(after.apart - before.apart);
    if (travelled < 5) return; // a click that trembles
    if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    if (before.apart && after.apart) zoom(after.apart / before.apart, after.x, after.y);
    pan(after.x - before.x, after.y - before.y);
  };
  const up = (event) => fingers.delete(event.pointerId);
  const wheel = (event) => {
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 300), ...place(event));
    else if (!pan(event.shiftKey ? -event.deltaY : -event.deltaX, event.shiftKey ? 0 : -event.deltaY)) return;
    event.preventDefault(); // at the end of the drawing the page scrolls on
  };
  stage.addEventListener("pointerdown", down);
  stage.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(name, up);
  stage.addEventListener("wheel", wheel, { passive: false });

  return {
    view, apply, zoom, pan, fit, start, reveal,
    settle: () => (own ? apply() : start()), // where the stage has another size
    resize: (width, height, first) => { size = { width, height, first }; },
    dragged: () => travelled >= 5, // whether what ends now was no click
  };
}

// The whole drawing in a corner, with a frame around what is seen; a click or a drag there moves the view.
function makeMap(svg, viewport, stage) {
  const WIDE = 120, HIGH = 150;
  const shape = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  const frame = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
  let scale = 1, size = { width: 1, height: 1 };
  const go = (event) => {
    const box = svg.getBoundingClientRect();
    const { view } = viewport;
    const [x, y] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
    viewport.pan(stage.clientWidth / 2 - x * view.k - view.x, stage.clientHeight / 2 - y * view.k - view.y);
  };
  svg.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    svg.setPointerCapture(event.pointerId);
    go(event);
  });
  svg.addEventListener("pointermove", (event) => svg.hasPointerCapture(event.pointerId) && go(event));
  return {
    draw: (drawing) => {
      size = drawing;
      scale = Math.min(WIDE / size.width, HIGH / size.height);
      svg.setAttribute("width", size.width * scale);
      svg.setAttribute("height", size.height * scale);
      svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
      const closed = drawing.boxes.filter((box) => box.state !== "open");
      shape.setAttribute("d", closed.map((box) => `M${box.x} ${box.y}h${box.width}v${box.height}h${-box.width}z`).join(""));
    },
    show: ({ x, y, k }) => {
      const whole = size.width * k <= stage.clientWidth * 1.02 && size.height * k <= stage.clientHeight * 1.02;
      svg.style.display = whole ? "none" : "";
      const place = { x: -x / k, y: -y / k, width: stage.clientWidth / k, height: stage.clientHeight / k };
      for (const [name, value] of Object.entries(place)) frame.setAttribute(name, value);
      frame.setAttribute("stroke-width", 2 / scale);
    },
  };
}
