// The theme: light, dark, or the system's. A classic script in the head, so that the first paint has the right colours.
"use strict";
{
  // The settings that the browser keeps; where it forbids that, for example to a page in a frame, they last as long as the page.
  const here = new Map();
  const settings = {
    get(name) {
      try {
        return localStorage.getItem(name);
      } catch {
        return here.get(name) ?? null;
      }
    },
    set(name, value) {
      here.set(name, value);
      try {
        localStorage.setItem(name, value);
      } catch {
        // It is kept here alone.
      }
    },
  };
  globalThis.settings = settings;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const choice = settings.get("theme") ?? "system";
    const name = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
    if (document.documentElement.dataset.theme === name) return;
    document.documentElement.dataset.theme = name;
    dispatchEvent(new Event("theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  globalThis.chooseTheme = (choice) => {
    settings.set("theme", choice);
    apply();
  };
}
