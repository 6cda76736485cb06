/* Keeps a page that shows the present up to date: asks again, and changes only what changed.
   It rests while the page is hidden, and asks less often where the server takes long. */
"use strict";

(() => {
  const SHORTEST_MS = 1200;
  const LONGEST_MS = 15000;
  const PATIENCE = 4; /* one page keeps the server busy for a fifth of the time at most */

  let paused = false;
  let known = "";
  let running = false;

  const button = () => document.querySelector("[data-live]");

  function show(failing) {
    const one = button();
    if (!one) return;
    one.dataset.says ||= one.textContent;
    one.setAttribute("aria-pressed", String(paused));
    one.textContent = paused ? "Paused" : failing ? "Trying again" : one.dataset.says;
    one.title = paused ? "Go on updating" : "Pause updating";
  }

  async function ask() {
    const main = document.getElementById("content");
    const address = location.pathname + location.search;
    const before = new Set([...main.querySelectorAll("tr[id]")].map((row) => row.id));
    let answered = false;
    const heard = (event) => {
      const response = event.detail.ctx.response;
      answered = response.status < 400;
      if (response.status >= 400) event.preventDefault();
      /* what was asked for is not what is shown any more */
      if (location.pathname + location.search !== address) event.preventDefault();
      else known = response.headers.get("ETag") || "";
    };
    main.addEventListener("htmx:before:response", heard, { once: true });
    try {
      const headers = known ? { "If-None-Match": known } : {};
      await htmx.ajax("GET", address, { target: main, source: main, swap: "outerMorph", headers });
    } finally {
      main.removeEventListener("htmx:before:response", heard);
    }
    for (const row of document.querySelectorAll("#content tr[id]")) {
      row.classList.toggle("fresh", before.size > 0 && !before.has(row.id));
    }
    return answered;
  }

  async function run() {
    let delay = SHORTEST_MS;
    for (;;) {
      await new Promise((done) => setTimeout(done, delay));
      if (paused || document.hidden || !button() || document.querySelector("#content.waiting")) {
        delay = SHORTEST_MS;
        continue;
      }
      const start = performance.now();
      const answered = await ask().catch(() => false);
      const took = performance.now() - start;
      delay = answered ? Math.min(LONGEST_MS, Math.max(SHORTEST_MS, took * PATIENCE)) : Math.min(LONGEST_MS, delay * 2);
      show(!answered);
    }
  }

  /* A part of a page that waits for something: asked for anew until it is another one. */
  async function waitForPart() {
    for (;;) {
      await new Promise((done) => setTimeout(done, SHORTEST_MS));
      const part = document.querySelector("[data-poll]");
      if (!part || button() || document.hidden) continue; /* a live page asks for itself whole */
      await htmx.ajax("GET", part.dataset.poll, { target: part, swap: "outerHTML" }).catch(() => {});
    }
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-live]")) return;
    paused = !paused;
    show(false);
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (running) return;
    running = true;
    show(false);
    run();
    waitForPart();
  });
})();
