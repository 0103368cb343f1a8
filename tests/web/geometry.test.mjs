// Tests of the timeline's geometry: `node --test tests/web`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { firstEndingAfter, lanes, pack, ticks, visible, zoom } from "../../crates/pynenc-web/src/assets/geometry.mjs";

/** Random numbers from a seed, so that a failure can be repeated. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function spans(seed, count) {
  const below = random(seed);
  return Array.from({ length: count }, () => {
    const from = below(1000);
    return { from, to: from + below(50), status: "running" };
  });
}

test("no two spans of a row overlap, and none is lost", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const all = spans(seed, 60);
    const rows = pack(all, 1000);
    assert.equal(rows.flat().length, all.length, `seed ${seed}`);
    for (const row of rows) {
      for (let i = 1; i < row.length; i++) assert.ok(row[i - 1].to <= row[i].from, `seed ${seed}`);
    }
  }
});

test("spans beyond the last row share it", () => {
  const rows = pack(spans(7, 500), 3);
  assert.equal(rows.length, 3);
  assert.equal(rows.flat().length, 500);
});

test("the first visible span is found", () => {
  const [row] = pack([{ from: 0, to: 10 }, { from: 10, to: 20 }, { from: 30, to: 40 }], 1);
  for (const [time, position] of [[-1, 0], [10, 0], [11, 1], [25, 2], [41, 3]]) assert.equal(firstEndingAfter(row, time), position);
});

test("what is outside of the view isn't drawn, and what is inside is drawn or joined with its neighbour", () => {
  for (const maxRows of [1000, 3, 1]) {
    for (let seed = 1; seed <= 100; seed++) {
      const view = { from: 200, to: 700, width: 640 };
      for (const row of pack([...spans(seed, 200), { from: 0, to: 1000, status: "paused" }], maxRows)) {
        const drawn = new Set();
        const pixels = new Set();
        visible(row, view, (span, x, width) => {
          drawn.add(span);
          for (let pixel = Math.floor(x); pixel < x + width; pixel++) pixels.add(`${span.status} ${pixel}`);
          assert.ok(x >= 0 && x + width <= view.width + 1, `seed ${seed}`);
        });
        for (const span of row) {
          const isInside = span.to >= view.from && span.from <= view.to;
          assert.ok(isInside || !drawn.has(span), `seed ${seed}`);
          const first = Math.floor(Math.max(0, ((span.from - view.from) * view.width) / (view.to - view.from)));
          assert.ok(!isInside || pixels.has(`${span.status} ${first}`), `seed ${seed}, ${maxRows} rows: a span is missing`);
        }
      }
    }
  }
});

test("many short spans are drawn once for each pixel", () => {
  const [row] = pack(Array.from({ length: 100_000 }, (_, i) => ({ from: i, to: i + 1, status: "running" })), 1);
  let count = 0;
  visible(row, { from: 0, to: 100_000, width: 500 }, () => count++);
  assert.ok(count <= 501, `${count} rectangles`);
});

test("ticks are multiples of a readable step and don't touch", () => {
  for (const length of [10, 999, 60_000, 3_600_000, 86_400_000, 90 * 86_400_000]) {
    const view = { from: 1_700_000_000_123, to: 1_700_000_000_123 + length, width: 1200 };
    const { step, times } = ticks(view, 90);
    assert.ok(times.length >= 1 && times.length <= 14, `${length}: ${times.length}`);
    for (const at of times) assert.equal(at % step, 0);
  }
});

test("zooming keeps the time under the pointer, and stays within limits", () => {
  const view = { from: 1000, to: 2000, width: 100 };
  const closer = zoom(view, 0.5, 1250);
  assert.deepEqual([closer.from, closer.to], [1125, 1625]);
  assert.equal(zoom(view, 1e-9, 1500).to - zoom(view, 1e-9, 1500).from, 10);
  const all = zoom(view, 1e12, 1500);
  assert.equal(all.to - all.from, 90 * 86_400_000);
});

test("a span with a runner is in the lane of the runner, and others wait", () => {
  const bar = { spans: [
    { status: "registered", from: 0, to: 5 },
    { status: "running", from: 5, to: null, runner: "r1" },
  ] };
  const finished = { spans: [{ status: "running", from: 0, to: 3, runner: "r2" }, { status: "success", from: 3, to: null }] };
  const found = lanes([bar, finished], 9, 10).map(({ name, rows }) => [name, rows.flat().map(({ from, to }) => [from, to])]);
  assert.deepEqual(found, [["waiting", [[0, 5]]], ["r1", [[5, 9]]], ["r2", [[0, 3]]]]);
});
