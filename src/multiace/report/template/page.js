"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")].map((element) => {
    const figure = element.closest("figure");
    const index = [...figure.querySelectorAll(".plot")].indexOf(element);
    return { element, figure, panel: data.figures[figure.id][index] };
  });
  const settings = {
    responsive: true, displaylogo: false, scrollZoom: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "pan2d"],
  };
  let printing = false;

  // ---- colours ------------------------------------------------------------------------------
  function theme() {
    if (printing) return "light";
    return root.dataset.theme || (dark.matches ? "dark" : "light");
  }
  function colour(name, opacity) {
    const value = data.themes[theme()][name];
    if (opacity === undefined) return value;
    const parts = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${opacity})`;
  }
  function coloured(value) {
    if (typeof value === "string") {
      const match = /^\$([a-z0-9-]+)(?:\/([\d.]+))?$/.exec(value);
      return match ? colour(match[1], match[2]) : value;
    }
    if (Array.isArray(value)) return value.map(coloured);
    if (value === null || typeof value !== "object" || "bdata" in value) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item)]));
  }

  // ---- figures ------------------------------------------------------------------------------
  function draw(plot) {
    const traces = coloured(plot.panel.data);
    const hidden = new Set([...plot.figure.querySelectorAll('.legend [aria-pressed="false"]')]
      .map((button) => button.dataset.name));
    for (const trace of traces) if (hidden.has(trace.name)) trace.visible = false;
    const layout = coloured(plot.panel.layout);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.autosize = true;
    return Plotly.react(plot.element, traces, layout, settings)
      .then(() => { plot.element.dataset.drawn = theme(); });
  }
  async function drawAll() {
    for (const plot of plots) {
      await draw(plot);
      await new Promise((next) => setTimeout(next));
    }
  }
  function redraw() {
    plots.forEach(draw);
    views.forEach((view) => view.draw());
  }
  document.addEventListener("click", (event) => {
    const entry = event.target.closest(".legend button");
    if (!entry) return;
    entry.setAttribute("aria-pressed", entry.getAttribute("aria-pressed") === "false");
    const figure = entry.closest("figure");
    plots.filter((plot) => plot.figure === figure).forEach(draw);
  });

  // ---- structures ---------------------------------------------------------------------------
  class View {
    constructor(canvas, frame) {
      Object.assign(this, { canvas, frame, zoom: 1, turned: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] });
      const pointers = new Map();
      canvas.addEventListener("pointerdown", (event) => {
        pointers.set(event.pointerId, event);
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        const before = pointers.get(event.pointerId);
        if (!before) return;
        pointers.set(event.pointerId, event);
        this.turn(0.01 * (event.clientX - before.clientX), 0.01 * (event.clientY - before.clientY));
      });
      for (const end of ["pointerup", "pointercancel"])
        canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
      canvas.addEventListener("dblclick", () => this.reset());
      canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && document.activeElement !== canvas) return;
        event.preventDefault();
        this.magnify(Math.exp(-0.002 * event.deltaY));
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
        if (turns[event.key]) this.turn(...turns[event.key]);
        else if (event.key === "+") this.magnify(1.15);
        else if (event.key === "-") this.magnify(1 / 1.15);
        else return;
        event.preventDefault();
      });
      new ResizeObserver(() => this.draw()).observe(canvas);
    }
    reset() { this.zoom = 1; this.turned = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]; this.draw(); }
    magnify(factor) { this.zoom = Math.min(8, Math.max(0.4, this.zoom * factor)); this.draw(); }
    turn(right, down) {
      const [cy, sy, cx, sx] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
      const step = [[cy, 0, sy], [sx * sy, cx, -sx * cy], [-cx * sy, sx, cx * cy]];
      this.turned = step.map((row) => [0, 1, 2].map((k) => row.reduce((sum, v, j) => sum + v * this.turned[j][k], 0)));
      this.draw();
    }
    place(point) {
      const [x, y, z] = this.turned.map((row) => row[0] * point[0] + row[1] * point[1] + row[2] * point[2]);
      return [this.middle[0] + this.size * x, this.middle[1] - this.size * y, z];
    }
    draw() {
      const { canvas, frame } = this;
      const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      canvas.width = width * ratio; canvas.height = height * ratio;
      this.middle = [width / 2, height / 2];
      this.size = this.zoom * Math.min(width / frame.reach[0], height / frame.reach[1]) / 2;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio); pen.lineCap = "round";
      const atoms = frame.positions.map((point) => this.place(point));
      for (const edge of frame.cell) this.line(pen, this.place(edge[0]), this.place(edge[1]), colour("muted", 0.55), 1);
      const items = atoms.map((at, index) => ({ depth: at[2], draw: () => this.ball(pen, at, index) }));
      for (const [i, j] of frame.bonds) {
        const middle = atoms[i].map((value, axis) => (value + atoms[j][axis]) / 2);
        for (const k of [i, j])
          items.push({ depth: (atoms[k][2] + middle[2]) / 2 - 0.2, draw: () => this.stick(pen, atoms[k], middle, frame.colours[k]) });
      }
      items.sort((a, b) => a.depth - b.depth).forEach((item) => item.draw());
      if (frame.arrows) frame.arrows.forEach((arrow, index) => this.arrow(pen, index, arrow));
      canvas.dataset.drawn = theme();
    }
    line(pen, from, to, ink, width) {
      pen.strokeStyle = ink; pen.lineWidth = width;
      pen.beginPath(); pen.moveTo(from[0], from[1]); pen.lineTo(to[0], to[1]); pen.stroke();
    }
    stick(pen, from, to, ink) {
      this.line(pen, from, to, colour("muted"), 0.19 * this.size + 1.2);
      this.line(pen, from, to, ink, 0.19 * this.size);
    }
    ball(pen, [x, y], index) {
      const radius = Math.max(1, this.size * this.frame.radii[index]);
      const light = pen.createRadialGradient(x - 0.35 * radius, y - 0.4 * radius, 0.1 * radius, x, y, radius);
      light.addColorStop(0, "#ffffff"); light.addColorStop(0.35, this.frame.colours[index]);
      light.addColorStop(1, this.frame.colours[index]);
      pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fillStyle = light; pen.fill();
      pen.strokeStyle = "rgba(20,25,32,0.6)"; pen.lineWidth = 0.8; pen.stroke();
    }
    arrow(pen, index, vector) {
      const start = this.frame.positions[index];
      const from = this.place(start), to = this.place(start.map((value, axis) => value + vector[axis]));
      const along = [to[0] - from[0], to[1] - from[1]], length = Math.hypot(...along);
      if (length < 3) return;
      const [dx, dy] = along.map((value) => value / length), head = Math.min(9, 0.45 * length);
      this.line(pen, from, [to[0] - dx * head * 0.8, to[1] - dy * head * 0.8], colour("series-1"), 2.2);
      pen.fillStyle = colour("series-1");
      pen.beginPath(); pen.moveTo(to[0], to[1]);
      for (const side of [-0.5, 0.5]) pen.lineTo(to[0] - head * (dx + side * dy), to[1] - head * (dy - side * dx));
      pen.fill();
    }
  }
  const views = [...document.querySelectorAll(".view")].flatMap((figure) =>
    [...figure.querySelectorAll("canvas")].map((canvas, index) => new View(canvas, data.views[figure.id][index])));

  // ---- tables -------------------------------------------------------------------------------
  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-save]");
    if (!button) return;
    const { save: name, text, copy } = button.dataset;
    if (copy === undefined) return save(name, text);
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(copy);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = before; }, 1500);
    } catch { save(name, copy); }
  });

  // A table wider than the paper is printed in parts, each with the columns that name its rows.
  const whole = new Map();
  function columnsOfParts(table, width) {
    const cells = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const widths = cells.map((cell) => cell.offsetWidth);
    let used = widths[0], named = 1;
    while (named < cells.length && cells[named].className === "text" && used + widths[named] < width / 2)
      used += widths[named++];
    const names = [...cells.keys()].slice(0, named), parts = [];
    let left = 0;
    for (let column = named; column < cells.length; column++) {
      if (!parts.length || widths[column] > left) {
        parts.push([...names]);
        left = width - used;
      }
      parts[parts.length - 1].push(column);
      left -= widths[column];
    }
    return parts;
  }
  function withColumns(table, columns) {
    const part = table.cloneNode(true);
    for (const row of part.rows) {
      let column = 0;
      for (const cell of [...row.cells]) {
        const end = column + cell.colSpan;
        const span = columns.filter((kept) => column <= kept && kept < end).length;
        column = end;
        if (span) cell.colSpan = span; else cell.remove();
      }
    }
    return part;
  }
  function splitTables() {
    for (const frame of document.querySelectorAll(".scroll")) {
      const table = frame.querySelector("table");
      if (table.offsetWidth <= frame.clientWidth) continue;
      whole.set(frame, table);
      frame.replaceChildren(...columnsOfParts(table, frame.clientWidth).map((columns) => withColumns(table, columns)));
    }
  }
  function joinTables() {
    whole.forEach((table, frame) => frame.replaceChildren(table));
    whole.clear();
  }

  // ---- theme, print, navigation -------------------------------------------------------------
  const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not remembered */ }
    redraw();
  });
  dark.addEventListener("change", redraw);
  let chosen;
  window.addEventListener("beforeprint", () => {
    if (printing) return;
    chosen = root.dataset.theme;
    printing = true;
    root.dataset.theme = "light";
    root.classList.add("printing");
    splitTables();
    redraw();
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    if (chosen) root.dataset.theme = chosen; else delete root.dataset.theme;
    root.classList.remove("printing");
    joinTables();
    redraw();
  });
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll("section").forEach((section) => watcher.observe(section));

  drawAll().then(() => { root.dataset.ready = "true"; });
})();
