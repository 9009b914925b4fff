// The theme: light, dark, or the system's. A classic script in the head, so that the first paint has the right colours.
"use strict";
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const choice = localStorage.getItem("theme") ?? "system";
    const name = choice === "system" ? (dark.matches ? "dark" : "light") : choice;
    if (document.documentElement.dataset.theme === name) return;
    document.documentElement.dataset.theme = name;
    dispatchEvent(new Event("theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  globalThis.chooseTheme = (choice) => {
    localStorage.setItem("theme", choice);
    apply();
  };
}
