// Equity of several runs, drawn with the engine of charts.js.

const STYLES = [{colour: "--agent", width: 2.4}, {colour: "--other", dash: "6 4", width: 1.8}, {colour: "--other", dash: "1.5 3.5", width: 1.8}, {colour: "--other-faint", dash: "9 3 2 3", width: 1.8}];
const HOLD = {colour: "--hold-line", text: "--hold", width: 1.8};
const lines = data.lines.map((line, i) => ({...line, ...(i === data.lines.length - 1 ? HOLD : STYLES[Math.min(i, STYLES.length - 1)])}));
const grown = line => i => percent(known(line.equity[i]) ? line.equity[i] - 1 : null, 1, true);
const outputs = lines.map(line => {
  const item = document.createElement("span"), svg = document.createElementNS(SVG, "svg"), value = document.createElement("b");
  for (const [name, size] of [["width", 22], ["height", 10], ["aria-hidden", "true"]]) svg.setAttribute(name, size);
  add(svg, "line", {x1: 0, x2: 22, y1: 5, y2: 5, style: `stroke:var(${line.colour})`, "stroke-width": line.width, "stroke-dasharray": line.dash || "none"});
  item.append(svg, `${line.name} `, value);
  document.querySelector("[data-legend=equity]").append(item);
  return value;
});
function legendValues(i) {
  outputs.forEach((output, k) => { output.textContent = grown(lines[k])(i); });
  document.querySelector("[data-when]").textContent = `Values at ${moment(times[i])}.`;
}
function equitySpec(narrow) {
  const [low, high] = extent(...lines.map(line => line.equity)), room = Math.max(high / Math.max(low, 1e-9), 1.004);
  const y = [Math.max(low, 1e-4) / room ** .05, high * room ** .05];
  return {
    height: narrow ? 290 : 380, room: Math.max(...lines.map(line => line.name.length)) * 7.6 + 110, y, log: true, zero: 1, label: "Equity of the runs, per cent since the start",
    yTicks: () => growthTicks(...y), yText: v => v >= 10 ? `× ${number(v, 0)}` : percent(v - 1, y[1] - y[0] < .06 ? 1 : 0, true),
    layers: [...lines].reverse().map(line => ({type: "line", key: line.name, y: line.equity, colour: line.colour, text: line.text || line.colour, dash: line.dash, width: line.width, end: `${line.name} ${grown(line)(visibleEnd())}`})),
  };
}
charts.push({host: document.getElementById("chart-equity"), spec: equitySpec, time: true});
start();
