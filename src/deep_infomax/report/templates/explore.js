"use strict";
for (const root of document.querySelectorAll(".explore")) {
  const find = (query, within = root) => within.querySelector(query);
  const data = JSON.parse(find(".data").textContent);
  const n = data.x.length, thumbnails = JSON.parse(document.getElementById(data.thumbnails).textContent);
  const map = find(".map"), stage = find(".stage"), tip = find(".tip"), ink = map.getContext("2d");
  const NEAREST_SHOWN = 60, SMALL = 30, MARGIN = 0.06, CLICK = 6, CELLS = 12;
  let colouring = data.colourings[0], only = null, hovered = -1, pinned = -1;
  let width = 0, height = 0, zoom = 1, left = 0, top = 0, waiting = false, close = false;

  // Points are drawn in a mixed order, so that no group lies above all others.
  const order = data.x.map((_, i) => i).sort((a, b) => ((a * 0.618034) % 1) - ((b * 0.618034) % 1));

  // Thumbnails: a part of the sheet, or lines.
  const sheet = new Image();
  const bytes = thumbnails.kind === "lines" ? Uint8Array.from(atob(thumbnails.bytes), (c) => c.charCodeAt(0)) : null;
  const shape = bytes ? [1.6, 1] : [thumbnails.width, thumbnails.height];

  function sized(most) {
    const factor = most / Math.max(...shape);
    return [Math.max(2, Math.round(shape[0] * factor)), Math.max(2, Math.round(shape[1] * factor))];
  }

  function drawThumbnail(target, i, x, y, w, h) {
    if (!bytes) {
      const { width: across, height: down, columns } = thumbnails;
      target.imageSmoothingEnabled = w < across;
      target.drawImage(sheet, (i % columns) * across, Math.floor(i / columns) * down, across, down, x, y, w, h);
      return;
    }
    const { channels, moments } = thumbnails;
    target.fillStyle = colour("--tint");
    target.fillRect(x, y, w, h);
    target.lineWidth = 1.2;
    for (let channel = 0; channel < channels; channel++) {
      const start = (i * channels + channel) * moments;
      target.strokeStyle = data.colours[[0, 6, 4][channel]];
      target.beginPath();
      for (let moment = 0; moment < moments; moment++) {
        target.lineTo(x + (w * (moment + 0.5)) / moments, y + h - 2 - ((h - 4) * bytes[start + moment]) / 255);
      }
      target.stroke();
    }
  }

  function fill(canvas, i, most) {
    const [w, h] = sized(most), ratio = window.devicePixelRatio || 1;
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    canvas.style.width = `${w}px`;
    const target = canvas.getContext("2d");
    target.scale(ratio, ratio);
    drawThumbnail(target, i, 0, 0, w, h);
  }

  // Words: text alone, never markup.
  const nameOf = (i) => (data.labels[i] < 0 ? "" : data.classes[data.labels[i]]);
  const placeOf = (i) => `${data.splits[data.split[i]]} ${data.index[i].toLocaleString("en")}`;

  function describe(element, i) {
    element.replaceChildren();
    const lines = [nameOf(i) && `class ${nameOf(i)}`, placeOf(i), data.files && data.files[i]];
    const group = colouring.of[i];
    if (group >= 0 && !["class", "split", "folder"].includes(colouring.name)) lines.push(colouring.groups[group]);
    lines.filter(Boolean).forEach((line, number) => {
      const part = document.createElement(number ? "div" : "b");
      part.textContent = line;
      element.append(part);
    });
  }

  // The map: world coordinates are 0 to 1, those of the screen are pixels of CSS.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const across = (i) => data.x[i] * zoom + left;
  const down = (i) => data.y[i] * zoom + top;
  const dimmed = (i) => only !== null && colouring.of[i] !== only;

  function showAll() {
    zoom = Math.min(width, height) * (1 - 2 * MARGIN);
    left = (width - zoom) / 2;
    top = (height - zoom) / 2;
    later();
  }

  function resize() {
    const first = !width, before = [width, height], ratio = window.devicePixelRatio || 1;
    width = stage.clientWidth;
    height = stage.clientHeight;
    map.width = width * ratio;
    map.height = height * ratio;
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (first) return showAll();
    left += (width - before[0]) / 2;
    top += (height - before[1]) / 2;
    later();
  }

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function draw() {
    if (!width) return; // a run that is folded up
    ink.clearRect(0, 0, width, height);
    const seen = order.filter((i) => {
      const x = across(i), y = down(i);
      return x > -20 && y > -20 && x < width + 20 && y < height + 20;
    });
    const side = Math.min(width, height), usual = (n > 1500 ? 2.2 : 3.2) * Math.min(1, Math.sqrt(side / 500));
    const radius = Math.min(7, usual * Math.sqrt(Math.max(1, zoom / side)));
    const paint = (group) => (group < 0 ? colour("--rest") : data.colours[group]);
    close = seen.length <= NEAREST_SHOWN && zoom > side;
    if (close) {
      const [w, h] = sized(SMALL);
      for (const i of seen) {
        const x = across(i) - w / 2, y = down(i) - h / 2;
        ink.globalAlpha = dimmed(i) ? 0.3 : 1;
        drawThumbnail(ink, i, x, y, w, h);
        ink.lineWidth = 2;
        ink.strokeStyle = paint(colouring.of[i]);
        ink.strokeRect(x - 1, y - 1, w + 2, h + 2);
      }
    } else {
      const dots = new Map(), length = 2 * radius + 2;
      for (const group of [-1, ...colouring.groups.keys()]) dots.set(group, dot(paint(group), radius, length));
      const ratio = window.devicePixelRatio || 1, whole = (pixels) => Math.round(pixels * ratio);
      const put = (image, i) => ink.drawImage(image, whole(across(i) - length / 2), whole(down(i) - length / 2));
      ink.setTransform(1, 0, 0, 1, 0, 0);
      ink.globalAlpha = 0.35;
      for (const i of seen) if (dimmed(i)) put(dots.get(-1), i);
      ink.globalAlpha = 0.85;
      for (const i of seen) if (!dimmed(i)) put(dots.get(colouring.of[i]), i);
      ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    ink.globalAlpha = 1;
    drawMarks(radius);
    drawNames();
  }

  // A point is drawn once and copied, which is much faster than thousands of arcs.
  function dot(paint, radius, side) {
    const canvas = document.createElement("canvas"), ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.ceil(side * ratio);
    const target = canvas.getContext("2d");
    target.scale(canvas.width / side, canvas.width / side);
    target.fillStyle = paint;
    target.arc(side / 2, side / 2, radius, 0, 6.2832);
    target.fill();
    return canvas;
  }

  function drawMarks(radius) {
    if (pinned >= 0) {
      ink.strokeStyle = colour("--ink");
      ink.lineWidth = 1;
      ink.globalAlpha = 0.55;
      for (const j of data.neighbours[pinned]) {
        ink.beginPath();
        ink.moveTo(across(pinned), down(pinned));
        ink.lineTo(across(j), down(j));
        ink.stroke();
      }
      ink.globalAlpha = 1;
      data.neighbours[pinned].forEach((j) => ring(j, radius + 2, 1.2));
      ring(pinned, radius + 5, 2.4);
    }
    if (hovered >= 0) ring(hovered, radius + 4, 1.8);
  }

  function ring(i, radius, line) {
    ink.strokeStyle = colour("--ink");
    ink.lineWidth = line;
    if (close) {
      const [w, h] = sized(SMALL).map((length) => length + 6);
      ink.strokeRect(across(i) - w / 2, down(i) - h / 2, w, h);
      return;
    }
    ink.beginPath();
    ink.arc(across(i), down(i), radius, 0, 6.2832);
    ink.stroke();
  }

  // Each group's name stands where most of its points are, or below where another name stands already.
  let centres = [];

  function findCentres() {
    const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
    const cell = (i) => [Math.floor(data.x[i] * CELLS), Math.floor(data.y[i] * CELLS)];
    centres = colouring.groups.map((name, group) => {
      const all = order.filter((i) => colouring.of[i] === group), counts = new Map();
      for (const i of all) counts.set(String(cell(i)), (counts.get(String(cell(i))) || 0) + 1);
      const [fullest] = [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
      const [column, row] = fullest.split(",").map(Number);
      const own = all.filter((i) => Math.abs(cell(i)[0] - column) < 2 && Math.abs(cell(i)[1] - row) < 2);
      const x = middle(own.map((i) => data.x[i])), y = middle(own.map((i) => data.y[i]));
      const distance = (i) => Math.hypot(data.x[i] - x, data.y[i] - y);
      const nearest = own.reduce((best, i) => (distance(i) < distance(best) ? i : best));
      return { name, x: data.x[nearest], y: data.y[nearest] };
    });
  }

  function drawNames() {
    const taken = [];
    ink.font = "600 13px system-ui, sans-serif";
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    ink.lineJoin = "round";
    centres.forEach(({ name, x, y }, group) => {
      if (only !== null && only !== group) return;
      const text = name.length > 24 ? `…${name.slice(-23)}` : name, half = ink.measureText(text).width / 2 + 3;
      const at = x * zoom + left;
      let line = y * zoom + top;
      if (at < 0 || line < 0 || at > width || line > height) return;
      const place = Math.max(half, Math.min(width - half, at));
      while (taken.some(([a, b, c]) => Math.abs(a - place) < b + half && Math.abs(c - line) < 16)) line += 16;
      taken.push([place, half, line]);
      ink.strokeStyle = colour("--page");
      ink.lineWidth = 4;
      ink.strokeText(text, place, line);
      ink.fillStyle = colour("--ink");
      ink.fillText(text, place, line);
    });
  }

  // Looking at inputs.
  function nearestTo(x, y, most) {
    let best = most * most, found = -1;
    for (let i = 0; i < n; i++) {
      const dx = across(i) - x, dy = down(i) - y, distance = dx * dx + dy * dy;
      if (distance < best && !dimmed(i)) [best, found] = [distance, i];
    }
    return found;
  }

  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    tip.hidden = i < 0;
    map.style.cursor = i < 0 ? "crosshair" : "pointer";
    if (i >= 0) {
      fill(find("canvas", tip), i, 80);
      describe(find("div", tip), i);
      const x = across(i), y = down(i), w = tip.offsetWidth, h = tip.offsetHeight;
      tip.style.left = `${Math.max(4, Math.min(width - w - 4, x + w + 16 > width ? x - w - 14 : x + 14))}px`;
      tip.style.top = `${Math.max(4, Math.min(height - h - 4, y - h / 2))}px`;
    }
    later();
  }

  function pin(i, show = false) {
    pinned = i;
    hover(-1);
    find(".hint").hidden = i >= 0;
    find(".pinned").hidden = i < 0;
    if (i >= 0) {
      fill(find(".self canvas"), i, 96);
      describe(find(".self p"), i);
      find(".near").replaceChildren(...data.neighbours[i].map((j) => neighbour(i, j)));
      const x = across(i), y = down(i);
      if (x < 20 || y < 20 || x > width - 20 || y > height - 20) {
        left += width / 2 - x;
        top += height / 2 - y;
      }
      if (show) stage.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
    later();
  }

  function neighbour(i, j) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    const words = document.createElement("div"), name = nameOf(j);
    const differs = name && nameOf(i) && name !== nameOf(i);
    button.className = "thumb";
    button.title = [name, placeOf(j), data.files && data.files[j]].filter(Boolean).join(", ");
    button.setAttribute("aria-label", `Show ${button.title}`);
    words.textContent = (differs ? "≠ " : "") + (name || placeOf(j));
    words.className = differs ? "differs" : "";
    button.append(canvas, words);
    button.onclick = () => pin(j);
    fill(canvas, j, 56);
    return button;
  }

  function zoomAt(x, y, factor) {
    const least = Math.min(width, height) * 0.5, most = Math.min(width, height) * 400;
    factor = Math.max(least, Math.min(most, zoom * factor)) / zoom;
    left = x - (x - left) * factor;
    top = y - (y - top) * factor;
    zoom *= factor;
    hover(-1);
    later();
  }

  // Mouse, pen and fingers: one moves the map, two zoom it, and what hardly moves is a click.
  const fingers = new Map();
  let moved = 0;

  const at = (event) => {
    const box = map.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const reach = (event) => (event.pointerType === "touch" ? 26 : 14);

  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) moved = 0;
  });
  map.addEventListener("pointermove", (event) => {
    const [x, y] = at(event), before = fingers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") hover(nearestTo(x, y, reach(event)));
      return;
    }
    const [dx, dy] = [x - before[0], y - before[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (fingers.size === 1) {
      left += dx;
      top += dy;
    } else {
      const [[, other]] = [...fingers].filter(([id]) => id !== event.pointerId);
      const distance = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
      left += dx / 2;
      top += dy / 2;
      zoomAt((x + other[0]) / 2, (y + other[1]) / 2, distance([x, y]) / distance(before));
    }
    fingers.set(event.pointerId, [x, y]);
    if (moved > CLICK) hover(-1);
    later();
  });
  map.addEventListener("pointerup", (event) => {
    const single = fingers.size === 1;
    fingers.delete(event.pointerId);
    if (single && moved <= CLICK) pin(nearestTo(...at(event), reach(event)));
  });
  map.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  map.addEventListener("pointerleave", () => hover(-1));
  map.addEventListener("wheel", (event) => {
    // Until the map is clicked, scrolling goes on down the page.
    if (document.activeElement !== map && !event.ctrlKey) return;
    event.preventDefault();
    const step = event.deltaMode === 1 ? 16 : 1;
    zoomAt(...at(event), Math.exp(-Math.max(-120, Math.min(120, event.deltaY * step)) / 300));
  }, { passive: false });

  const middle = (factor) => zoomAt(width / 2, height / 2, factor);
  map.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.key in steps) {
      left += steps[event.key][0];
      top += steps[event.key][1];
      later();
    } else if (event.key === "+" || event.key === "=") middle(1.4);
    else if (event.key === "-") middle(1 / 1.4);
    else if (event.key === "0") showAll();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pin(-1);
    map.blur();
  });
  find(".closer").onclick = () => middle(1.6);
  find(".farther").onclick = () => middle(1 / 1.6);
  find(".whole").onclick = showAll;
  find(".unpin").onclick = () => pin(-1);

  // Colours and their legend; a click on a name shows that group alone.
  function colourBy(number) {
    colouring = data.colourings[number];
    only = null;
    findCentres();
    const counts = new Map();
    colouring.of.forEach((group) => counts.set(group, (counts.get(group) || 0) + 1));
    const entries = colouring.groups.map((name, group) => [name, group]);
    if (colouring.rest) entries.push([colouring.rest, -1]);
    find(".groups").replaceChildren(...entries.map(([name, group]) => {
      const item = document.createElement("li"), button = document.createElement("button");
      const dot = document.createElement("i");
      dot.style.background = group < 0 ? "var(--rest)" : data.colours[group];
      button.append(dot, `${name} (${(counts.get(group) || 0).toLocaleString("en")})`);
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        only = only === group ? null : group;
        for (const other of find(".groups").querySelectorAll("button")) {
          other.setAttribute("aria-pressed", String(other === button && only !== null));
        }
        later();
      };
      item.append(button);
      return item;
    }));
    find(".said").textContent = colouring.said;
    if (pinned >= 0) describe(find(".self p"), pinned);
    later();
  }

  const by = find(".by");
  data.colourings.forEach(({ name }, number) => by.append(new Option(name, number)));
  by.onchange = () => colourBy(Number(by.value));

  function begin() {
    for (const button of root.querySelectorAll(".thumb[data-point]")) {
      const i = Number(button.dataset.point);
      fill(find("canvas", button), i, 64);
      button.onclick = () => pin(i, true);
    }
    colourBy(0);
    new ResizeObserver(resize).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  }

  if (bytes) begin();
  else {
    sheet.onload = begin;
    sheet.src = thumbnails.uri;
  }
}
