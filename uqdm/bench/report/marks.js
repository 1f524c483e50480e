// Marks of curves for legends, the codec filter and tables: a line and a marker, as in the plots.
"use strict";

function polygon(corners, turn = 0, inner = 1, stretch = 1) {
  const points = [];
  for (let index = 0; index < corners; index += 1) {
    const angle = Math.PI * (turn + (2 * index) / corners - 0.5);
    const radius = 5 * (index % 2 ? inner : 1);
    points.push(`${(radius * stretch * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`);
  }
  return `M${points.join("L")}Z`;
}

const CROSS = "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z";
const SHAPES = {
  circle: "M-4.4,0A4.4,4.4 0 1 1 4.4,0A4.4,4.4 0 1 1 -4.4,0Z",
  square: polygon(4, 0.25),
  diamond: polygon(4),
  "diamond-tall": polygon(4, 0, 1, 0.65),
  "triangle-up": polygon(3),
  "triangle-down": polygon(3, 1),
  "triangle-left": polygon(3, 1.5),
  "triangle-right": polygon(3, 0.5),
  pentagon: polygon(5),
  hexagon: polygon(6),
  hexagon2: polygon(6, 1 / 6),
  octagon: polygon(8, 1 / 8),
  star: polygon(10, 0, 0.45),
  cross: CROSS,
  x: CROSS,
};
const STROKES = { solid: "", dash: "6 3", dot: "1.5 3", dashdot: "6 3 1.5 3", longdash: "10 4", "4px,3px": "4 3" };

const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// `look` has a colour for light and for dark pages, a marker and the dashes of a line; without a marker it is a line.
function swatch(look) {
  const picture = drawn("svg", { class: "swatch", viewBox: "-17 -7 34 14", width: 34, height: 14, "aria-hidden": true });
  picture.style.color = `light-dark(${look.colour}, ${look.dark_colour})`;
  const line = { stroke: "currentColor", "stroke-width": 1.8, "stroke-dasharray": STROKES[look.dash] };
  if (look.dash) picture.append(drawn("line", { x1: -17, x2: 17, y1: 0, y2: 0, ...line }));
  if (!look.symbol) return picture;
  const shape = look.symbol.replace("-open", "");
  const mark = { d: SHAPES[shape] ?? SHAPES.circle, stroke: "currentColor", transform: shape === "x" ? "rotate(45)" : "" };
  const path = drawn("path", mark);
  path.style.fill = shape === look.symbol ? "currentColor" : "var(--paper)";
  picture.append(path);
  return picture;
}
