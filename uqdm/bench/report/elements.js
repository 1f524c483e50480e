// Elements and texts that all scripts of the page use.
"use strict";

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Plotly reads some tags in its texts; what comes from elsewhere must stay text.
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function wrapped(text, width = 44) {
  const lines = [""];
  const pieces = new RegExp(`.{1,${width}}`, "gs"); // of words that are longer than a line
  for (const part of String(text).split(/(?<=[,;]| )/).flatMap((word) => word.match(pieces) ?? [])) {
    if (lines.at(-1) && lines.at(-1).length + part.length > width) lines.push("");
    lines[lines.length - 1] += part;
  }
  return lines.map(plain).join("<br>");
}

const count = (value) => value.toLocaleString("en");

function number(value) {
  if (value === null || value === undefined) return "none";
  return Math.abs(value) >= 10000 ? count(Math.round(value)) : String(Number(value.toPrecision(4)));
}

function withInterval([value, low, high]) {
  return low === null || high === null ? number(value) : `${number(value)} (${number(low)} to ${number(high)})`;
}
