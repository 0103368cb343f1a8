// The geometry of the timeline: pure functions, without a page.

/** Statuses in which a runner owns an invocation; their spans are in the lane of the runner. */
export const OWNED = new Set(["pending", "running", "paused"]);

/** Statuses of finished invocations, which have no length. */
export const FINAL = new Set(["success", "failed", "cancelled", "concurrency_controlled_final"]);

/**
 * Puts spans into rows, so that no two spans of a row overlap. Spans beyond the last row share it.
 * A span is { from, to } with `from <= to`. Returns rows of spans, each sorted by `from`. A span gets `reach`: the latest
 * end of the spans in its row up to itself, by which rows can be searched.
 */
export function pack(spans, maxRows) {
  const sorted = [...spans].sort((a, b) => a.from - b.from || a.to - b.to);
  const rows = [];
  const ends = [];
  for (const span of sorted) {
    let row = ends.findIndex((end) => end <= span.from);
    if (row < 0) row = rows.length < maxRows ? rows.length : maxRows - 1;
    ends[row] = Math.max(ends[row] ?? 0, span.to);
    (rows[row] ??= []).push({ ...span, reach: ends[row] });
  }
  return rows;
}

/** The position of the first span of a row that ends at `time` or later. */
export function firstEndingAfter(row, time) {
  let low = 0;
  let high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].reach < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The spans of a row within a view, joined where they would be drawn on the same pixels.
 * Calls `draw(span, x, width)`, with at most a few calls for each pixel of the view.
 */
export function visible(row, view, draw) {
  const scale = view.width / (view.to - view.from);
  let last = { x: -1, status: "" };
  for (let i = firstEndingAfter(row, view.from); i < row.length && row[i].from <= view.to; i++) {
    const span = row[i];
    if (span.to < view.from) continue;
    const x = Math.max(0, (span.from - view.from) * scale);
    const end = Math.min(view.width, (span.to - view.from) * scale);
    const width = Math.max(1, end - x);
    if (width <= 1 && Math.floor(x) === last.x && span.status === last.status) continue;
    last = { x: Math.floor(x), status: span.status };
    draw(span, x, width);
  }
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
  1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000,
];

/** The times of the ticks of an axis: multiples of a readable step, at least `gap` pixels apart. */
export function ticks(view, gap) {
  const wanted = ((view.to - view.from) / view.width) * gap;
  const step = STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / STEPS.at(-1)) * STEPS.at(-1);
  const times = [];
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) times.push(at);
  return { step, times };
}

/** A view that is zoomed by a factor around a time, and not shorter than 10 ms or longer than 90 days. */
export function zoom(view, factor, around) {
  const length = Math.min(90 * 86_400_000, Math.max(10, (view.to - view.from) * factor));
  const part = (around - view.from) / (view.to - view.from);
  const from = around - length * part;
  return { ...view, from, to: from + length };
}

/** The lanes of a timeline: one for waiting, and one for each runner, with their spans in rows. */
export function lanes(bars, now, maxRows) {
  const byLane = new Map([["waiting", []]]);
  for (const bar of bars) {
    for (const span of bar.spans) {
      if (FINAL.has(span.status)) continue;
      const lane = OWNED.has(span.status) ? (span.runner ?? "waiting") : "waiting";
      if (!byLane.has(lane)) byLane.set(lane, []);
      byLane.get(lane).push({ from: span.from, to: span.to ?? now, status: span.status, bar });
    }
  }
  const packed = [...byLane].map(([name, spans]) => ({ name, rows: pack(spans, maxRows) }));
  return packed.filter((lane) => lane.rows.length > 0);
}
