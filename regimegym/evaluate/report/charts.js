"use strict";
// A small chart engine: scales, axes, layers, one time axis for all time charts.
// A chart is {host, spec}; spec() returns what to draw, so that zoom and theme need no state of their own.

const SVG = "http://www.w3.org/2000/svg";
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const DAY = 864e5, HOUR = 36e5;
const PRINT_WIDTH = 700;

const data = JSON.parse(document.getElementById("data").textContent);
const times = data.t, last = times.length - 1;
const whole = [times[0], Math.max(times[last], times[0] + 1)];
const view = {x: whole.slice(), hidden: new Set(), log: true, printing: false};
const charts = [];

/* Numbers: the same rules as numbers.py. */
const known = v => v !== null && v !== undefined && Number.isFinite(v);
function number(v, digits = 2, signed = false) {
  if (!known(v)) return "–";
  const size = Math.abs(v).toFixed(digits);
  const sign = Number(size) === 0 ? "" : v < 0 ? "−" : signed ? "+" : "";
  const [integer, decimals] = size.split(".");
  return sign + integer.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals ? "." + decimals : "");
}
const percent = (v, digits = 1, signed = false) => known(v) ? number(v * 100, digits, signed) + "\u00a0%" : "–";
const price = v => number(v, !known(v) || Math.abs(v) >= 1000 ? 0 : Math.abs(v) >= 10 ? 2 : 4);
function moment(t) {
  const d = new Date(t), two = v => String(v).padStart(2, "0");
  const day = `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
  return data.intraday ? `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())} UTC` : day;
}

/* Ticks. */
function niceTicks(low, high, count) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw)), f = raw / power;
  const step = (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * power, ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}
const GROWTH = [.01, .02, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000];
function growthTicks(low, high) {  // equity V/V0: round in per cent of the start
  return high / low < 1.8 ? niceTicks(low - 1, high - 1, 6).map(v => v + 1) : GROWTH.filter(v => v >= low && v <= high);
}
const TIME_STEPS = [[HOUR, [1, 3, 6, 12]], [DAY, [1, 2, 5, 10]]];
function timeTicks(low, high, count) {
  const span = high - low;
  for (const [unit, steps] of TIME_STEPS) for (const n of steps) {
    if (span / (unit * n) > count) continue;
    const ticks = [];
    for (let t = Math.ceil(low / (unit * n)) * unit * n; t <= high; t += unit * n) ticks.push(t);
    return {ticks, unit};
  }
  const months = span / (30.44 * DAY), step = [1, 2, 3, 6, 12, 24, 60, 120].find(n => months / n <= count) || 240;
  const first = new Date(low), ticks = [];
  for (let m = first.getUTCFullYear() * 12; ; m += step) {
    const t = Date.UTC(Math.floor(m / 12), m % 12, 1);
    if (t > high) break;
    if (t >= low - span * .02) ticks.push(Math.max(t, low));  // a start hours after the first still names its month
  }
  return {ticks, unit: step >= 12 ? 365 * DAY : 30 * DAY};
}
function timeLabel(t, unit, first) {
  const d = new Date(t), day = `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
  if (unit === HOUR) return first || d.getUTCHours() === 0 ? day : `${String(d.getUTCHours()).padStart(2, "0")}:00`;
  if (unit === DAY) return first ? `${day} ${d.getUTCFullYear()}` : day;
  if (unit === 365 * DAY) return String(d.getUTCFullYear());
  return MONTHS[d.getUTCMonth()] + (first || d.getUTCMonth() === 0 ? ` ${d.getUTCFullYear()}` : "");
}

/* Lookups on the time axis. */
function nearest(t) {
  let low = 0, high = last;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] < t) low = middle + 1; else high = middle; }
  return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : low;
}
function visible() {  // indices of the view, with one point more on either side
  let a = nearest(view.x[0]), b = nearest(view.x[1]);
  return [Math.max(0, a - 1), Math.min(last, b + 1)];
}
function extent(...series) {
  const [a, b] = visible();
  let low = Infinity, high = -Infinity;
  for (const y of series) for (let i = a; i <= b; i++) if (known(y[i])) { low = Math.min(low, y[i]); high = Math.max(high, y[i]); }
  return low <= high ? [low, high] : [0, 1];
}

/* Drawing. */
function add(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
function path(xs, ys, from, to, X, Y, step) {
  let d = "", pen = false;
  for (let i = from; i <= to; i++) {
    if (!known(ys[i])) { pen = false; continue; }
    const x = X(xs[i]).toFixed(1), y = Y(ys[i]).toFixed(1);
    d += pen ? (step ? `H${x}V${y}` : `L${x} ${y}`) : `M${x} ${y}`;
    pen = true;
  }
  return d;
}
function closed(xs, upper, lower, from, to, X, Y) {
  const forth = [], back = [];
  for (let i = from; i <= to; i++) if (known(upper[i]) && known(lower[i])) {
    forth.push(`${X(xs[i]).toFixed(1)} ${Y(upper[i]).toFixed(1)}`);
    back.unshift(`${X(xs[i]).toFixed(1)} ${Y(lower[i]).toFixed(1)}`);
  }
  return forth.length ? `M${forth.concat(back).join("L")}Z` : "";
}
const LAYERS = {
  line(g, layer, k) {
    add(g, "path", {d: path(k.xs, layer.y, k.a, k.b, k.X, k.Y, layer.step), fill: "none", style: `stroke:var(${layer.colour})`,
      "stroke-width": layer.width || 1.6, "stroke-dasharray": layer.dash || "none", "stroke-linejoin": "round", "data-line": layer.key || ""});
  },
  band(g, layer, k) { add(g, "path", {d: closed(k.xs, layer.high, layer.low, k.a, k.b, k.X, k.Y), style: `fill:var(${layer.colour})`}); },
  area(g, layer, k) { LAYERS.band(g, {...layer, high: layer.y, low: layer.y.map(() => 0)}, k); },
  stairs(g, layer, k) {
    const zero = k.Y(0).toFixed(1), end = k.X(k.xs[k.b]).toFixed(1);
    const d = path(k.xs, layer.y, k.a, k.b, k.X, k.Y, true);
    if (d) add(g, "path", {d: `${d}H${end}V${zero}H${k.X(k.xs[k.a]).toFixed(1)}Z`, style: `fill:var(${layer.colour})`});
  },
  upright(g, layer, k) {
    const x = k.X(layer.at), right = x < k.box.left + k.box.width * .6;
    add(g, "line", {x1: x, x2: x, y1: k.box.top, y2: k.box.top + k.box.height, style: `stroke:var(${layer.colour})`, "stroke-width": 1.6, "stroke-dasharray": layer.dash});
    add(k.svg, "text", {x: x + (right ? 6 : -6), y: k.box.top + 14 + layer.row * 18, "text-anchor": right ? "start" : "end", class: "e halo", style: `fill:var(${layer.text})`}, layer.label);
  },
};
function yAxis(k, spec) {
  const least = 20, base = spec.zero === undefined ? -Infinity : k.Y(spec.zero);
  let below = Infinity;
  for (const v of spec.yTicks(k.box.height, k.narrow)) {  // ascending; the zero line always keeps its label
    const y = k.Y(v), zero = Math.abs(v - spec.zero) < 1e-9;
    if (y < k.box.top - 1 || y > k.box.top + k.box.height + 1) continue;
    if (!zero && (below - y < least || Math.abs(y - base) < least)) continue;
    below = y;
    add(k.svg, "line", {x1: k.box.left, x2: k.box.left + k.box.width, y1: y, y2: y, class: zero ? "g0" : "g"});
    add(k.svg, "text", {x: k.box.left - 7, y: y + 4, "text-anchor": "end"}, spec.yText(v));
  }
}
function xAxis(k, spec) {
  const y = k.box.top + k.box.height, right = k.box.left + k.box.width;
  const place = (x, text) => {
    add(k.svg, "line", {x1: x, x2: x, y1: k.box.top, y2: y, class: "g"});
    const half = text.length * 3.6, anchor = x - half < 0 ? "start" : x + half > k.width ? "end" : "middle";
    add(k.svg, "text", {x: anchor === "end" ? Math.min(k.width, right) : x, y: y + 17, "text-anchor": anchor}, text);
  };
  if (spec.time) {
    const {ticks, unit} = timeTicks(...view.x, Math.max(2, Math.floor(k.box.width / 92)));
    ticks.forEach((t, i) => place(k.X(t), timeLabel(t, unit, i === 0)));
  } else for (const v of spec.xTicks(k.narrow)) place(k.X(v), spec.xText(v));
  if (spec.xLabel) add(k.svg, "text", {x: k.box.left + k.box.width / 2, y: k.height - 4, "text-anchor": "middle"}, spec.xLabel);
}
function endLabels(k, ends) {  // pushed apart from the top, then back from the bottom
  ends.sort((p, q) => p.y - q.y);
  ends.forEach((e, i) => { e.at = Math.max(e.y, i ? ends[i - 1].at + 16 : k.box.top + 5); });
  for (let i = ends.length - 1; i >= 0; i--) ends[i].at = Math.min(ends[i].at, i < ends.length - 1 ? ends[i + 1].at - 16 : k.box.top + k.box.height);
  for (const e of ends) add(k.svg, "text", {x: k.box.left + k.box.width + 8, y: e.at + 4, class: "e", style: `fill:var(${e.colour})`}, e.text);
}
function draw(chart) {
  const width = view.printing ? PRINT_WIDTH - 26 : Math.max(240, chart.host.clientWidth), narrow = width < 560;
  const spec = chart.spec(narrow), layers = spec.layers.filter(layer => !view.hidden.has(layer.key));
  const height = Math.round(spec.height * (view.printing ? .68 : 1));
  const box = {left: narrow ? 52 : 62, top: spec.top || 8};
  box.width = width - box.left - (narrow ? 8 : spec.room || 8);
  box.height = height - box.top - (spec.xLabel ? 42 : 24);
  chart.host.textContent = "";
  const svg = add(chart.host, "svg", {class: chart.time ? "c time" : "c", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.label});
  const id = `clip-${chart.host.id}`;
  add(add(add(svg, "defs", {}), "clipPath", {id}), "rect", {x: box.left, y: box.top, width: box.width, height: box.height});
  const [x0, x1] = chart.time ? view.x : spec.x, [y0, y1] = spec.y, f = spec.log ? Math.log : v => v;
  const [a, b] = chart.time ? visible() : [0, spec.xs.length - 1];
  const X = v => box.left + (v - x0) / (x1 - x0) * box.width;
  const Y = v => box.top + (f(y1) - f(spec.log ? Math.max(v, 1e-9) : v)) / (f(y1) - f(y0)) * box.height;
  const k = {svg, box, width, height, narrow, X, Y, a, b, xs: spec.xs || times, clip: `url(#${id})`, id};
  if (spec.under) spec.under(k);
  yAxis(k, {...spec, time: chart.time});
  xAxis(k, {...spec, time: chart.time});
  const g = add(svg, "g", {"clip-path": k.clip}), ends = [];
  for (const layer of layers) {
    LAYERS[layer.type](g, layer, k);
    const value = layer.end && layer.y[Math.min(b, layer.y.length - 1)];
    if (layer.end && known(value)) ends.push({y: Math.min(Math.max(Y(value), box.top), box.top + box.height), text: layer.end, colour: layer.text || layer.colour});
  }
  if (spec.over) spec.over({...k, g});
  if (!narrow) endLabels(k, ends);
  if (chart.time) watch(chart, k);
}

/* Crosshair and zoom. */
function watch(chart, k) {
  const line = add(k.svg, "line", {y1: k.box.top, y2: k.box.top + k.box.height, style: "stroke:var(--ink)", visibility: "hidden"});
  const band = add(k.svg, "rect", {y: k.box.top, height: k.box.height, width: 0, style: "fill:var(--agent-tint)", visibility: "hidden"});
  chart.cross = t => { if (t === null) line.setAttribute("visibility", "hidden"); else { const x = k.X(t); line.setAttribute("x1", x); line.setAttribute("x2", x); line.setAttribute("visibility", "visible"); } };
  const at = event => {
    const frame = k.svg.getBoundingClientRect(), x = (event.clientX - frame.left) * k.width / frame.width;
    return view.x[0] + Math.min(1, Math.max(0, (x - k.box.left) / k.box.width)) * (view.x[1] - view.x[0]);
  };
  let start = null;
  k.svg.addEventListener("pointermove", event => {
    const t = at(event);
    hover(t);
    if (start === null) return;
    band.setAttribute("x", k.X(Math.min(start, t)));
    band.setAttribute("width", Math.abs(k.X(t) - k.X(start)));
    band.setAttribute("visibility", "visible");
  });
  k.svg.addEventListener("pointerdown", event => { if (event.pointerType === "mouse" && event.button === 0) { start = at(event); k.svg.setPointerCapture(event.pointerId); } else hover(at(event)); });
  k.svg.addEventListener("pointerup", event => {
    if (start === null) return;
    const [low, high] = [start, at(event)].sort((p, q) => p - q);
    start = null;
    band.setAttribute("visibility", "hidden");
    if (nearest(high) - nearest(low) >= 4) zoom([low, high]);
  });
  k.svg.addEventListener("pointerleave", () => { if (start === null) hover(null); });
  k.svg.addEventListener("dblclick", () => zoom(whole.slice()));
}
function hover(t) {
  const i = t === null ? visibleEnd() : nearest(t);
  for (const chart of charts) if (chart.cross) chart.cross(t === null ? null : times[i]);
  legendValues(i);
}
function visibleEnd() { return Math.min(last, nearest(view.x[1])); }
function zoom(x) {
  view.x = x;
  const zoomed = x[0] > whole[0] || x[1] < whole[1];
  document.querySelectorAll(".reset").forEach(button => { button.hidden = !zoomed; });
  drawTime();
}
function drawTime() { charts.filter(chart => chart.time).forEach(draw); legendValues(visibleEnd()); }
function drawAll() { charts.forEach(draw); legendValues(visibleEnd()); }
function start() {  // draw, and again at every width
  drawAll();
  let lastWidth = innerWidth, timer;
  addEventListener("resize", () => {
    if (innerWidth === lastWidth) return;
    lastWidth = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(drawAll, 80);
  });
  document.querySelectorAll(".reset").forEach(button => button.addEventListener("click", () => zoom(whole.slice())));
}
