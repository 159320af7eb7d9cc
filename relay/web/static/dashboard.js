// Live parts ask again by themselves. They pause while nobody looks, slow down with the server, and never take
// what somebody is typing or has selected.
"use strict";

(() => {
  let slowest = 0;
  let asked = 0;
  let opened = [];

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
    if (!event.target.hasAttribute("data-live")) return;
    const { successful } = event.detail;
    if (successful) slowest = performance.now() - asked; // who was away is asked as before, to be found again
    document.getElementById("stale").hidden = successful;
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isBusy(event.target)) event.detail.shouldSwap = false; // since it was asked for
    opened = [...event.target.querySelectorAll("details[open]")].map((one) => one.id);
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    const mark = document.querySelector("[data-trouble]");
    if (!mark) return;
    const count = mark.dataset.trouble;
    document.title = document.title.replace(/^\(\d+\) /, "");
    if (count !== "0") document.title = `(${count}) ${document.title}`;
    document.querySelector("link[rel=icon]").href = count === "0" ? "/static/icon.svg" : "/static/icon-trouble.svg";
  });

  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done"); // what was done is said once, not at each reload
    history.replaceState(history.state, "", here);
  }

  // Who reloads the page after an act, or comes back to it, has not acted once more.
  const { instead } = document.getElementById("content").dataset;
  if (instead) history.replaceState(history.state, "", instead + location.hash);

  for (const button of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
})();
