// Draws the timeline: a lane for each runner and one for waiting, with zoom, pan and details on hover.

import { lanes, ticks, visible, zoom } from "./geometry.mjs";

const PAGE = 1000;
const MAX_BARS = 10_000;
const MAX_ROWS = 60;
const AXIS = 24;
const TITLE = 18;
const LANE_GAP = 10;
const FOLLOW_INTERVAL = 3000;

const root = document.getElementById("timeline");
const canvas = root.querySelector("canvas");
const context = canvas.getContext("2d");
const tooltip = root.querySelector(".tooltip");
const output = root.querySelector("output");
const follow = root.querySelector("[data-do=follow]");
const prefix = document.body.dataset.prefix;

const bars = new Map();
let drawn = [];
let view = { from: Date.now() - 60_000, to: Date.now(), width: 1 };
let isFitted = true;
let isPartial = false;
let hovered = null;
let serverOffset = 0;
let frame = 0;

const now = () => Date.now() + serverOffset;

/** Colors come from the style sheet, so that they fit light and dark. */
const colors = new Map();
function color(name) {
  if (!colors.has(name)) colors.set(name, getComputedStyle(root).getPropertyValue(`--bar-${name}`).trim() || "#888");
  return colors.get(name);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colors.clear(); schedule(); });

function schedule() {
  frame ||= requestAnimationFrame(() => { frame = 0; draw(); });
}

function layout() {
  let y = AXIS;
  drawn = lanes(bars.values(), now(), MAX_ROWS).map((lane) => {
    const height = Math.max(3, Math.min(14, Math.floor(220 / lane.rows.length)));
    const placed = { ...lane, y: y + TITLE, height };
    y = placed.y + height * lane.rows.length + LANE_GAP;
    return placed;
  });
  const height = Math.max(160, y);
  canvas.style.height = `${height}px`;
  const scale = devicePixelRatio || 1;
  view.width = canvas.clientWidth || 1;
  canvas.width = Math.round(view.width * scale);
  canvas.height = Math.round(height * scale);
  context.setTransform(scale, 0, 0, scale, 0, 0);
}

function fit() {
  const all = [...bars.values()].flatMap((bar) => bar.spans);
  if (all.length === 0) return;
  const from = all.reduce((least, span) => Math.min(least, span.from), Infinity);
  const to = all.reduce((most, span) => Math.max(most, span.to ?? now()), 0);
  const margin = Math.max(50, (to - from) * 0.02);
  view = { ...view, from: from - margin, to: to + margin };
  isFitted = true;
}

function draw() {
  const height = canvas.clientHeight;
  context.clearRect(0, 0, view.width, height);
  drawAxis(height);
  context.font = "12px system-ui, sans-serif";
  for (const lane of drawn) {
    context.fillStyle = color("text");
    context.fillText(lane.name === "waiting" ? "waiting" : `runner …${lane.name.slice(-12)}`, 4, lane.y - 5);
    const batches = new Map();
    lane.rows.forEach((row, number) => {
      const y = lane.y + number * lane.height;
      visible(row, view, (span, x, width) => {
        const name = hovered === span.bar ? "hovered" : span.status;
        if (!batches.has(name)) batches.set(name, []);
        batches.get(name).push(x, y, width);
      });
    });
    for (const [name, rects] of batches) {
      context.fillStyle = color(name);
      context.beginPath();
      for (let i = 0; i < rects.length; i += 3) context.rect(rects[i], rects[i + 1], rects[i + 2], lane.height - 1);
      context.fill();
    }
  }
}

function drawAxis(height) {
  const scale = view.width / (view.to - view.from);
  const { step, times } = ticks(view, 110);
  const options = step >= 86_400_000 ? { month: "short", day: "numeric" }
    : step >= 60_000 ? { hour: "2-digit", minute: "2-digit" }
    : { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: step < 1000 ? 3 : undefined };
  const format = new Intl.DateTimeFormat(undefined, options);
  context.font = "11px system-ui, sans-serif";
  context.lineWidth = 1;
  context.strokeStyle = color("grid");
  context.beginPath();
  for (const at of times) {
    const x = Math.round((at - view.from) * scale) + 0.5;
    context.moveTo(x, AXIS - 6);
    context.lineTo(x, height);
  }
  context.stroke();
  context.fillStyle = color("muted");
  for (const at of times) context.fillText(format.format(at), (at - view.from) * scale + 3, 12);
  const x = (now() - view.from) * scale;
  if (x >= 0 && x <= view.width) {
    context.strokeStyle = color("now");
    context.beginPath();
    context.moveTo(x, AXIS - 6);
    context.lineTo(x, height);
    context.stroke();
  }
}

function spanAt(x, y) {
  const at = view.from + (x / view.width) * (view.to - view.from);
  const slack = ((view.to - view.from) / view.width) * 2;
  for (const lane of drawn) {
    const row = lane.rows[Math.floor((y - lane.y) / lane.height)];
    if (y < lane.y || !row) continue;
    // The last one is drawn above the others.
    return row.findLast((span) => span.from - slack <= at && at <= span.to + slack);
  }
  return undefined;
}

function duration(millis) {
  if (millis < 1000) return `${Math.round(millis)} ms`;
  if (millis < 60_000) return `${(millis / 1000).toFixed(1)} s`;
  return `${Math.floor(millis / 60_000)} m ${Math.round((millis % 60_000) / 1000)} s`;
}

function showTooltip(span, x, y) {
  tooltip.hidden = !span;
  if (!span) return;
  const lines = [
    span.bar.task,
    `${span.status} for ${duration(span.to - span.from)}`,
    new Date(span.from).toLocaleString(undefined, { timeStyle: "medium", dateStyle: "short" }),
    `…${span.bar.id.slice(-12)} in the queue ${span.bar.queue}`,
  ];
  tooltip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  const left = Math.min(x + 12, root.clientWidth - tooltip.offsetWidth - 4);
  tooltip.style.left = `${Math.max(0, left)}px`;
  tooltip.style.top = `${canvas.offsetTop + y + 14}px`;
}

const pointers = new Map();
let moved = 0;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event);
  moved = 0;
});
canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) {
    const span = spanAt(event.offsetX, event.offsetY);
    canvas.classList.toggle("over", Boolean(span));
    if (hovered !== (span?.bar ?? null)) { hovered = span?.bar ?? null; schedule(); }
    return showTooltip(span, event.offsetX, event.offsetY);
  }
  moved += Math.abs(event.offsetX - before.offsetX) + Math.abs(event.offsetY - before.offsetY);
  const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
  if (other) {
    const [was, is] = [Math.abs(before.offsetX - other.offsetX), Math.abs(event.offsetX - other.offsetX)];
    if (was > 5 && is > 5) zoomAt(was / is, (event.offsetX + other.offsetX) / 2);
  } else {
    pan(((before.offsetX - event.offsetX) / view.width) * (view.to - view.from));
  }
  pointers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    const span = name === "pointerup" && moved < 4 ? spanAt(event.offsetX, event.offsetY) : undefined;
    if (span) location.href = `${prefix}/invocations/${span.bar.id}`;
  });
}
canvas.addEventListener("pointerleave", () => { hovered = null; showTooltip(); schedule(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    return pan(((event.deltaX || event.deltaY) / view.width) * (view.to - view.from));
  }
  zoomAt(Math.exp(event.deltaY * 0.002), event.offsetX);
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const step = (view.to - view.from) / 8;
  const actions = {
    ArrowLeft: () => pan(-step), ArrowRight: () => pan(step), "+": () => zoomAt(0.7), "=": () => zoomAt(0.7), "-": () => zoomAt(1.4),
    0: showAll,
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});

function pan(by) {
  isFitted = false;
  view = { ...view, from: view.from + by, to: view.to + by };
  schedule();
}

function zoomAt(factor, x = view.width / 2) {
  isFitted = false;
  view = zoom(view, factor, view.from + (x / view.width) * (view.to - view.from));
  schedule();
}

function showAll() {
  fit();
  schedule();
}

root.addEventListener("click", (event) => {
  const name = event.target.dataset?.do;
  if (name === "in") zoomAt(0.5);
  if (name === "out") zoomAt(2);
  if (name === "fit") showAll();
});
new ResizeObserver(() => { layout(); schedule(); }).observe(root);

async function load(cursor) {
  const query = new URLSearchParams(root.dataset.query);
  query.set("limit", PAGE);
  if (cursor) query.set("cursor", cursor);
  const response = await fetch(`${prefix}/api/v1/timeline?${query}`);
  const page = await response.json();
  if (!response.ok) throw new Error(page.detail);
  serverOffset = page.now - Date.now();
  for (const bar of page.bars) bars.set(bar.id, bar);
  // New invocations push the oldest ones out. Ids are ordered by the time of their creation.
  if (bars.size > MAX_BARS) {
    for (const id of [...bars.keys()].sort().slice(0, bars.size - MAX_BARS)) bars.delete(id);
    isPartial = true;
  }
  layout();
  if (isFitted) fit();
  schedule();
  return page.next;
}

function showNumber() {
  output.textContent = `${isPartial ? "the last " : ""}${bars.size.toLocaleString()} invocations${isPartial ? "; there are more" : ""}`;
}

async function loadAll() {
  try {
    let cursor = await load();
    while (cursor && bars.size < MAX_BARS) cursor = await load(cursor);
    isPartial = Boolean(cursor);
    showNumber();
  } catch (error) {
    output.textContent = `The timeline can't be loaded: ${error.message}`;
  }
}

/** Loads what is new while the view shows everything or ends at the present. */
async function keepFollowing() {
  if (!follow.checked || document.hidden || pointers.size > 0) return;
  try {
    await load();
    showNumber();
  } catch (error) {
    output.textContent = `The timeline can't be loaded: ${error.message}`;
  }
}

root.hidden = false;
layout();
await loadAll();
setInterval(keepFollowing, FOLLOW_INTERVAL);
root.dataset.ready = "true";
