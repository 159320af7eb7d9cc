// Live parts ask again by themselves. They pause while nobody looks, slow down with the server, and never take
// what somebody is typing or has selected.
"use strict";

(() => {
  let slowest = 0;
  let asked = 0;

  const isBusy = (part) => {
    const chosen = document.getSelection();
    if (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode)) return true;
    const active = document.activeElement;
    return part.contains(active) && active.matches("input, select, textarea, button, a, summary");
  };

  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (!part.hasAttribute("data-live")) return;
    const tooSoon = performance.now() - asked < slowest * 10;
    if (document.hidden || tooSoon || isBusy(part)) event.preventDefault();
    else asked = performance.now();
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.hasAttribute("data-live")) slowest = performance.now() - asked;
  });

  document.addEventListener("htmx:afterSwap", () => {
    const mark = document.querySelector("[data-trouble]");
    if (!mark) return;
    const count = mark.dataset.trouble;
    document.title = document.title.replace(/^\(\d+\) /, "");
    if (count !== "0") document.title = `(${count}) ${document.title}`;
    document.querySelector("link[rel=icon]").href = count === "0" ? "/static/icon.svg" : "/static/icon-trouble.svg";
  });
})();
