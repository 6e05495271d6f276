// Runs before the first paint: with the theme "auto" the system decides, and keeps deciding while the page is open.
(() => {
  const root = document.documentElement;
  if (root.dataset.theme !== "auto") return;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    root.dataset.bsTheme = system.matches ? "dark" : "light";
  };
  follow();
  system.addEventListener("change", follow);
})();
