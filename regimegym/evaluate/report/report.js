// What the report draws with the engine of charts.js.

const policies = data.policies, agent = policies[0];
const bands = policies.filter(policy => policy.band), tint = policy => policy.key === "agent" ? "--agent-tint" : "--random";
const HATCHED = 1, PLAIN_GROUND = 2, DOTTED = 3;  // regime codes
const REGIME_COLOURS = {0: "--up", 1: "--down", 3: "--swing"};
const REGIME_INKS = {0: "--up-ink", 1: "--down-ink", 2: "--plateau-ink", 3: "--swing-ink"};
const regimeOf = Object.fromEntries(data.regimes.codes.map(row => [row.code, row]));

/* Legends: name, line, value under the crosshair (or at the end). */
const sinceStart = policy => i => percent(known(policy.equity[i]) ? policy.equity[i] - 1 : null, 1, true);
const LEGENDS = {
  equity: [
    ...policies.map(policy => ({key: policy.key, name: policy.name, ...policy.line, value: sinceStart(policy)})),
    ...bands.map(policy => ({key: `${policy.key}-band`, name: policy.band.label, colour: tint(policy), band: true})),
  ],
  drawdown: [["agent", agent], ["buy_and_hold", policies[1]]].map(([key, policy]) =>
    ({name: policy.name, fixed: true, ...policy.line, value: i => percent(data.drawdown[key][i])})),
  price: [
    {key: "price", name: "Price", colour: "--ink", width: 1.4, value: i => price(data.close[i])},
    {key: "exposure", name: "Exposure", colour: "--agent-tint", band: true, value: i => percent(data.exposure[i], 0)},
    {name: "Regime", fixed: true, value: i => regimeAt(times[i])},
  ],
};
function regimeAt(t) {
  const span = data.regimes.spans.find(([start, end]) => start <= t && t <= end);
  return span ? regimeOf[span[2]].label : "–";
}
function sample(row) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["width", 22], ["height", 10], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  if (row.band) add(svg, "rect", {width: 22, height: 10, style: `fill:var(${row.colour})`});
  else add(svg, "line", {x1: 0, x2: 22, y1: 5, y2: 5, style: `stroke:var(${row.colour})`, "stroke-width": row.width, "stroke-dasharray": row.dash || "none"});
  return svg;
}
const FIRST = 4;  // lines that are drawn at first, and the ceiling never; the others wait in the legend
policies.forEach((policy, i) => { if (i >= FIRST && !policy.band && policy.key !== "flat") view.hidden.add(policy.key); });
function buildLegends() {
  for (const name in LEGENDS) for (const row of LEGENDS[name]) {
    const item = document.createElement(row.fixed ? "span" : "button"), words = document.createElement("span");
    if (row.colour) item.append(sample(row));
    words.append(`${row.name} `, row.output = document.createElement("b"));
    item.append(words);
    item.dataset.key = row.key || row.name;
    document.querySelector(`[data-legend=${name}]`).append(item);
    if (row.fixed) continue;
    item.type = "button";
    item.setAttribute("aria-pressed", !view.hidden.has(row.key));
    item.title = "Show or hide";
    item.addEventListener("click", () => {
      if (!view.hidden.delete(row.key)) view.hidden.add(row.key);
      item.setAttribute("aria-pressed", !view.hidden.has(row.key));
      drawTime();
    });
  }
}
function legendValues(i) {
  for (const name in LEGENDS) for (const row of LEGENDS[name]) if (row.value) row.output.textContent = row.value(i);
  document.querySelector("[data-when]").textContent = `Values at ${moment(times[i])}.`;
}

const textRoom = names => Math.max(...names.map(name => name.length)) * 7.6 + 14;
const endRoom = textRoom(policies.map(policy => `${policy.name} +000.0 %`));  // alike above and below, so that time lines up

/* Equity and drawdown. */
function shown(key) { return !view.hidden.has(key); }
function equitySpec(narrow) {
  const drawn = policies.filter(policy => shown(policy.key) && !policy.may_leave).map(policy => policy.equity);
  for (const policy of bands) if (shown(`${policy.key}-band`)) drawn.push(policy.band.low, policy.band.high);
  const [low, high] = extent(...(drawn.length ? drawn : [agent.equity])), room = Math.max(high / Math.max(low, 1e-9), 1.004);
  const y = view.log ? [Math.max(low, 1e-4) / room ** .05, high * room ** .05] : [low - (high - low) * .05, high + (high - low) * .05 + 1e-6];
  return {
    height: narrow ? 290 : 360, room: endRoom, y, log: view.log, zero: 1, label: "Equity of the agent and the baselines, per cent since the start",
    yTicks: height => view.log ? growthTicks(...y) : niceTicks(y[0] - 1, y[1] - 1, height / 55).map(v => v + 1),
    yText: v => v >= 10 ? `× ${number(v, 0)}` : percent(v - 1, y[1] - y[0] < .06 ? 1 : 0, true),
    layers: [
      ...bands.map(policy => ({type: "band", key: `${policy.key}-band`, low: policy.band.low, high: policy.band.high, colour: tint(policy)})),
      ...[...policies].reverse().map(policy => ({type: "line", key: policy.key, y: policy.equity, ...policy.line,
        end: `${policy.name} ${sinceStart(policy)(visibleEnd())}`})),
    ],
  };
}
function drawdownSpec(narrow) {
  const hold = policies[1], low = extent(data.drawdown.agent, data.drawdown.buy_and_hold)[0];
  const y = [Math.min(low * 1.06, -.002), 0];
  const end = (policy, key) => `${policy.name} ${percent(data.drawdown[key][visibleEnd()])}`;
  return {
    height: narrow ? 130 : 150, room: endRoom, y, zero: 0, label: "Drawdown of the agent and of buy and hold",
    yTicks: () => niceTicks(...y, 3), yText: v => percent(v, low > -.03 ? 1 : 0),
    layers: [
      {type: "area", key: "agent", y: data.drawdown.agent, colour: "--agent-tint"},
      {type: "line", key: "buy_and_hold", y: data.drawdown.buy_and_hold, ...hold.line, width: 1.5, end: end(hold, "buy_and_hold")},
      {type: "line", key: "agent", y: data.drawdown.agent, ...agent.line, width: 1.8, end: end(agent, "agent")},
    ],
  };
}

/* Price, regimes, trades, exposure. */
function patterns(k) {
  const defs = k.svg.firstChild;
  const hatch = add(defs, "pattern", {id: `${k.id}-hatch`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"});
  add(hatch, "rect", {width: 6, height: 6, style: "fill:var(--down)"});
  add(hatch, "line", {x1: 0, y1: 0, x2: 0, y2: 6, style: "stroke:var(--down-ink)", opacity: .38});
  const dots = add(defs, "pattern", {id: `${k.id}-dots`, width: 6, height: 6, patternUnits: "userSpaceOnUse"});
  add(dots, "rect", {width: 6, height: 6, style: "fill:var(--swing)"});
  add(dots, "circle", {cx: 3, cy: 3, r: .9, style: "fill:var(--swing-ink)", opacity: .5});
}
function regimeColumns(k) {  // two-pixel columns, each of the regime that fills most of it, joined when alike
  const size = 2, n = Math.max(1, Math.floor(k.box.width / size)), joined = [];
  const columns = Array.from({length: n}, () => ({}));
  for (const [start, end, code] of data.regimes.spans) {
    const from = (k.X(Math.max(start, view.x[0])) - k.box.left) / size, to = (k.X(Math.min(end, view.x[1])) - k.box.left) / size;
    for (let c = Math.max(0, Math.floor(from)); c < Math.min(n, to); c++) columns[c][code] = (columns[c][code] || 0) + Math.min(to, c + 1) - Math.max(from, c);
  }
  columns.forEach((column, c) => {
    const code = Object.keys(column).sort((p, q) => column[q] - column[p])[0];
    const before = joined[joined.length - 1];
    if (before && before.code === code) before.width += size; else joined.push({code, x: k.box.left + c * size, width: size});
  });
  return joined;
}
function shade(k) {
  patterns(k);
  const g = add(k.svg, "g", {"clip-path": k.clip});
  for (const {code, x, width} of regimeColumns(k)) {
    if (code === undefined || !REGIME_INKS[code]) continue;
    const fill = width < 7 || +code === 0 ? `var(${REGIME_COLOURS[code]})` : +code === HATCHED ? `url(#${k.id}-hatch)` : +code === DOTTED ? `url(#${k.id}-dots)` : "none";
    if (+code !== PLAIN_GROUND) add(g, "rect", {x, y: k.box.top, width, height: k.box.height, style: `fill:${fill}`});
    if (width > 15) add(g, "text", {x: x + width / 2, y: k.box.top + 14, "text-anchor": "middle", class: "e halo", style: `fill:var(${REGIME_INKS[code]})`}, regimeOf[code].letter);
  }
}
function pickFills(narrow) {  // at most one buy and one sell per stretch when there are too many
  const inside = data.fills.shown.filter(([t]) => t >= view.x[0] && t <= view.x[1]), cap = narrow ? 24 : 64;
  if (inside.length <= cap) return [inside, inside.length];
  const taken = new Set();
  const picked = inside.filter(([t, side, , kind]) => {
    const slot = `${Math.floor((t - view.x[0]) / (view.x[1] - view.x[0]) * cap / 2)} ${side}`;
    return kind === "liquidation" || (!taken.has(slot) && taken.add(slot));
  });
  return [picked, inside.length];
}
function drawFills(k) {
  const [picked, inside] = pickFills(k.narrow);
  for (const [t, side, paid, kind] of picked) {
    const x = k.X(t), y = k.Y(paid) + side * 10, z = 4.6;
    const filled = side > 0 ? "fill:var(--agent);stroke:var(--card)" : "fill:var(--card);stroke:var(--agent)";
    const d = kind === "liquidation" ? `M${x - z} ${y - z}l${2 * z} ${2 * z}m0 ${-2 * z}l${-2 * z} ${2 * z}` : `M${x} ${y - z * side}L${x + z} ${y + .8 * z * side}L${x - z} ${y + .8 * z * side}Z`;
    add(k.g, "path", {d, style: kind === "liquidation" ? "fill:none;stroke:var(--agent)" : filled, "stroke-width": side > 0 && kind !== "liquidation" ? .8 : 1.6, "data-fill": kind});
  }
  const whole_ = data.fills.total, listed = data.fills.shown.length;
  document.getElementById("key-liquidation").hidden = !data.fills.shown.some(fill => fill[3] === "liquidation");
  document.getElementById("shown-trades").textContent = picked.length < inside ? `${picked.length} of ${inside} trades in view are drawn; zoom in for all.`
    : whole_ > listed ? `The ${listed} largest of ${whole_} trades are kept.` : "";
}
function priceSpec(narrow) {
  const [low, high] = extent(data.close), log = high / low > 3, room = (high - low || high * .01) * .07;
  const y = log ? [low / 1.06, high * 1.12] : [low - room, high + room * 1.8];
  return {
    height: narrow ? 290 : 330, top: 20, y, log, label: "Price with regimes and trades", under: shade, over: drawFills,
    yTicks: () => log ? [1, 1.5, 2, 3, 5, 7].flatMap(m => [-3, -2, -1, 0, 1, 2].map(p => m * 10 ** (Math.floor(Math.log10(high)) + p))).sort((p, q) => p - q) : niceTicks(...y, narrow ? 4 : 5),
    yText: v => v >= 1e4 ? number(v / 1e3, v % 1e3 ? 1 : 0) + "k" : number(v, high - low < 2 ? 3 : high - low < 20 ? 1 : 0),
    layers: [{type: "line", key: "price", y: data.close, colour: "--ink", width: 1.4}],
  };
}
function exposureSpec(narrow) {
  const [low, high] = extent(data.exposure), y = [Math.min(0, low) * 1.05, Math.max(1, high) * 1.05];
  return {
    height: narrow ? 92 : 104, y, zero: 0, label: "Exposure of the agent",
    yTicks: () => y[1] > 1.5 || y[0] < -1.5 ? niceTicks(...y, 3) : y[0] < 0 ? [-1, 0, 1] : [0, .5, 1], yText: v => percent(v, 0),
    layers: [{type: "stairs", key: "exposure", y: data.exposure, colour: "--agent-tint"}, {type: "line", step: true, key: "exposure", y: data.exposure, colour: "--agent", width: 1.1}],
  };
}

/* Costs. */
function costSpec(narrow) {
  const c = data.costs, hold = policies[1], values = [...c.agent, ...c.buy_and_hold, 0].filter(known);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low || .01) * .1;
  const y = [low - room, high + room * 2.4], per = v => percent(v * c.one_way, 2);
  const marks = [{at: 1, colour: "--muted", text: "--muted", dash: "1.5 3.5", label: `assumed ${per(1)}`}];
  if (known(c.break_even_flat)) marks.push({at: c.break_even_flat, colour: "--agent", text: "--agent", dash: "6 4", label: `break-even ${per(c.break_even_flat)} = ${number(c.break_even_flat, 1)} ×`});
  if (known(c.break_even_buy_and_hold)) marks.push({at: c.break_even_buy_and_hold, colour: "--hold-line", text: "--hold", dash: "6 4", label: `${narrow ? "hold" : "buy and hold"} ${per(c.break_even_buy_and_hold)} = ${number(c.break_even_buy_and_hold, 1)} ×`});
  return {
    height: narrow ? 300 : 330, room: textRoom([hold.name, agent.name]), x: [c.multiples[0], c.multiples[c.multiples.length - 1]], xs: c.multiples, y, zero: 0, label: "Net return against the cost per trade",
    xTicks: () => narrow ? c.multiples.filter(Number.isInteger) : c.multiples, xText: v => `${v} ×`, xLabel: `costs, 1 × = ${per(1)} per trade`,
    yTicks: () => niceTicks(...y, 5), yText: v => percent(v, high - low < .05 ? 1 : 0, true),
    layers: [
      {type: "line", key: "hold-cost", y: c.buy_and_hold, ...hold.line, end: hold.name},
      {type: "line", key: "agent-cost", y: c.agent, ...agent.line, end: agent.name},
      ...marks.map((mark, row) => ({type: "upright", row, ...mark})),
    ],
  };
}

/* Statistics and calibration: drawn where they were measured. */
function profileSpec(narrow) {
  const p = data.profile, xs = p.log_return, hold = policies[1];
  return {
    height: narrow ? 240 : 260, room: textRoom([hold.name, agent.name]), x: [xs[0], xs[xs.length - 1]], xs, y: [0, 1.04], zero: 0,
    label: "Share of scenarios with a higher log return", xLabel: "log return of a scenario",
    xTicks: () => niceTicks(xs[0], xs[xs.length - 1], narrow ? 4 : 7), xText: v => number(v, 2, true),
    yTicks: () => [0, .25, .5, .75, 1], yText: v => percent(v, 0),
    layers: [
      {type: "line", key: "hold-profile", y: p.buy_and_hold, ...hold.line, end: hold.name},
      {type: "line", key: "agent-profile", y: p.agent, ...agent.line, end: agent.name},
    ],
  };
}
function historiesSpec(narrow) {
  const h = data.histories, xs = h.bars, room = Math.max(Math.max(...h.high) / Math.max(Math.min(...h.low), 1e-4), 1.004);
  const y = [Math.max(Math.min(...h.low), 1e-4) / room ** .05, Math.max(...h.high) * room ** .05];
  return {
    height: narrow ? 240 : 280, room: textRoom(["median +000.0 %"]), x: [xs[0], xs[xs.length - 1]], xs, y, log: true, zero: 1,
    label: "Equity over other histories, per cent since the start", xLabel: "bars traded",
    xTicks: () => niceTicks(xs[0], xs[xs.length - 1], narrow ? 3 : 6), xText: v => number(v, 0),
    yTicks: () => growthTicks(...y), yText: v => v >= 10 ? `× ${number(v, 0)}` : percent(v - 1, 0, true),
    layers: [
      {type: "band", key: "nine-tenths", low: h.low, high: h.high, colour: "--random"},
      {type: "band", key: "half", low: h.quarter, high: h.three_quarters, colour: "--agent-tint"},
      {type: "line", key: "median-history", y: h.median, ...agent.line, end: `median ${percent(h.median[xs.length - 1] - 1, 1, true)}`},
    ],
  };
}
function crossSpec(narrow, rows, words) {  // curves that do not share their x: each is laid on the common grid
  const all = rows.flatMap(row => row.x), low = Math.min(...all), high = Math.max(...all), n = 81;
  const xs = Array.from({length: n}, (_, i) => low + (high - low || 1) * i / (n - 1));
  const at = row => xs.map(x => {
    const j = row.x.findIndex(v => v >= x - 1e-12);
    if (j < 0 || x < row.x[0] - 1e-12) return null;
    if (j === 0) return row.y[0];
    const f = (x - row.x[j - 1]) / (row.x[j] - row.x[j - 1] || 1);
    return row.y[j - 1] + f * (row.y[j] - row.y[j - 1]);
  });
  const ys = rows.flatMap(row => row.y).concat(words.diagonal ? [] : [0]);
  const y = words.diagonal ? [0, 1] : [Math.min(...ys) * 1.1 - 1e-9, Math.max(...ys) * 1.1 + 1e-9];
  return {
    height: narrow ? 250 : 270, x: [xs[0], xs[n - 1]], xs, y, zero: 0, label: words.label, xLabel: words.x,
    xTicks: () => niceTicks(xs[0], xs[n - 1], narrow ? 4 : 7), xText: words.diagonal ? v => percent(v, 0) : v => number(v, 3, true),
    yTicks: () => niceTicks(...y, 4), yText: v => percent(v, words.diagonal ? 0 : 2, !words.diagonal),
    layers: [
      ...(words.diagonal ? [{type: "line", key: "diagonal", y: xs, colour: "--other-faint", dash: "1.5 3.5", width: 1.4}] : []),
      ...rows.map((row, i) => ({type: "line", key: `${words.diagonal}-${i}`, y: at(row), ...SHADES[i % 4]})),
    ],
  };
}
const SHADES = [["--agent", ""], ["--hold-line", ""], ["--other", "6 4"], ["--other", "1.5 3.5"]].map(([colour, dash]) => ({colour, dash, width: 1.8}));
function legendAbove(host, names) {
  const legend = document.createElement("div");
  legend.className = "legend key";
  names.forEach((name, i) => { const item = document.createElement("span"); item.append(sample(SHADES[i % 4]), name); legend.append(item); });
  host.before(legend);
}
const valueRows = (data.values || []).map(row => ({name: row.label, x: row.predicted, y: row.realised}));
const regimeRows = Object.entries(data.reliability || {}).filter(([, row]) => row.stated.length > 1).map(([name, row]) => ({name, x: row.stated, y: row.happened}));
const valuesSpec = narrow => crossSpec(narrow, valueRows,
  {label: "Realised return against the value that was stated", x: narrow ? "value stated, tenths of the bars" : "value stated, unit of the training reward; tenths of the bars", diagonal: false});
const reliabilitySpec = narrow => crossSpec(narrow, regimeRows,
  {label: "How often the label was the regime, against the probability stated", x: "probability stated", diagonal: true});

/* Start. */
document.querySelector(".noscript").hidden = true;
for (const [name, spec, time] of [["equity", equitySpec, true], ["drawdown", drawdownSpec, true], ["price", priceSpec, true], ["exposure", exposureSpec, true], ["costs", costSpec, false], ["profile", profileSpec, false], ["histories", historiesSpec, false], ["values", valuesSpec, false], ["reliability", reliabilitySpec, false]]) {
  if (!document.getElementById(`chart-${name}`)) continue;
  const host = document.getElementById(`chart-${name}`), rows = {values: valueRows, reliability: regimeRows}[name];
  if (rows && !rows.length) { host.closest("figure").hidden = true; continue; }
  if (rows) legendAbove(host, rows.map(row => row.name));
  charts.push({host, spec, time});
}
buildLegends();
start();

for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) addEventListener(event, () => {  // what is folded stays so
  view.printing = printing;
  drawAll();
});
/* Tables of scenarios and months: a click on a head sorts, the third one brings the groups back. */
const NEXT = {none: "descending", descending: "ascending", ascending: "none"};
function cellValue(row, column) {
  const text = row.cells[column].textContent.replace(/−/g, "-").replace(/[^-.\d]/g, "");
  return column ? (text ? Number(text) : null) : row.cells[0].textContent;
}
function compare(p, q, direction) {  // what is undefined stands last either way
  if (p === null || q === null) return (p === null) - (q === null);
  return typeof p === "string" ? -direction * p.localeCompare(q, "en", {numeric: true}) : direction * (q - p);
}
function sortable(table) {
  const body = table.tBodies[0], original = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort")], direction = order === "descending" ? 1 : -1;
      heads.forEach(other => other.setAttribute("aria-sort", other === head ? order : "none"));
      const rows = original.filter(row => !row.classList.contains("grp"));
      body.replaceChildren(...(order === "none" ? original : rows.sort((p, q) => compare(cellValue(p, column), cellValue(q, column), direction))));
    });
  });
}
document.querySelectorAll("table.heat").forEach(sortable);
const logButton = document.getElementById("log"), themeButton = document.getElementById("theme");
logButton.hidden = themeButton.hidden = false;
logButton.addEventListener("click", () => {
  view.log = !view.log;
  logButton.setAttribute("aria-pressed", view.log);
  drawTime();
});
themeButton.addEventListener("click", () => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = (root.dataset.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
});
document.querySelectorAll(".cmd").forEach(command => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", () => {
    if (navigator.clipboard) navigator.clipboard.writeText(command.querySelector("code").textContent).then(() => { button.textContent = "copied"; });
  });
  command.append(button);
});
const links = [...document.querySelectorAll("nav a")];
const observer = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) links.forEach(link => link.classList.toggle("on", link.hash === `#${entry.target.id}`));
}), {rootMargin: "-20% 0px -70% 0px"});
document.querySelectorAll("section[id]").forEach(section => observer.observe(section));
