// Light or dark: as the system says, unless the reader chooses. Stored in the browser where it allows that.
"use strict";

const STORED_THEME = "uqdm-report-theme";

class Theme {
  constructor(select) {
    this.root = document.documentElement;
    this.select = select;
    this.dark = window.matchMedia("(prefers-color-scheme: dark)");
    this.set(this.stored());
    select.value = this.root.dataset.theme ?? "";
    select.addEventListener("input", () => this.choose(select.value));
  }

  stored() {
    try {
      return localStorage.getItem(STORED_THEME);
    } catch {
      return null; // some browsers store nothing for local files
    }
  }

  set(name) {
    if (["light", "dark"].includes(name)) this.root.dataset.theme = name;
    else delete this.root.dataset.theme;
  }

  choose(name) {
    this.set(name);
    try {
      localStorage.setItem(STORED_THEME, name);
    } catch {
      // the choice then holds for this visit
    }
  }

  get name() {
    return this.root.dataset.theme ?? (this.dark.matches ? "dark" : "light");
  }

  onChange(redraw) {
    this.dark.addEventListener("change", redraw);
    this.select.addEventListener("input", redraw);
  }
}

// The colours of the style sheet for plots, which need them as values.
function palette(theme) {
  const probe = element("span");
  probe.style.colorScheme = theme;
  document.body.append(probe);
  const value = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const names = ["paper", "shade", "ink", "soft", "grid", "axis", "published"];
  const colours = Object.fromEntries(names.map((name) => [name, value(name)]));
  probe.remove();
  return { ...colours, of: (look) => (theme === "dark" ? look.dark_colour : look.colour) };
}
