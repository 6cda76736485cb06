/* The frame of every page: what can be done without a pointer, and pickers that answer at once.
   Every page works without this file. */
"use strict";

(() => {
  const root = document.documentElement;
  root.dataset.script = "";

  const content = () => document.getElementById("content");

  /* Links and forms marked `data-stay` change the page in place; the address keeps the state. */
  async function go(address, source) {
    const main = content();
    main.classList.add("waiting");
    main.setAttribute("aria-busy", "true");
    try {
      await htmx.ajax("GET", address, { target: main, swap: "outerMorph", source, push: "true" });
    } finally {
      content().classList.remove("waiting");
      content().removeAttribute("aria-busy");
    }
  }

  function closeSheets(except) {
    for (const open of document.querySelectorAll("details.pop[open]")) {
      if (open !== except) open.open = false;
    }
  }

  document.addEventListener("click", (event) => {
    closeSheets(event.target.closest("details.pop"));
    const link = event.target.closest("a[data-stay]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href"), link);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-stay]");
    if (!form) return;
    event.preventDefault();
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
    closeSheets();
    go(query.size ? `${form.getAttribute("action")}?${query}` : form.getAttribute("action"), form);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("form.pick select, form[data-at-once] :is(select, input)")) {
      event.target.form.requestSubmit();
    }
  });

  /* The address holds the whole state of a page: copying it is sharing the page. */
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy-address], [data-copy]");
    if (!button) return;
    const text = button.dataset.copy === undefined ? location.href : document.getElementById(button.dataset.copy).innerText;
    await navigator.clipboard.writeText(text);
    const said = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = said), 1500);
  });

  /* The theme: kept in a cookie, so that the server writes it into the next page. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".themes button");
    if (!button) return;
    event.preventDefault();
    const theme = button.value;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `tokenwatcher_theme=${theme}; Path=/; SameSite=Lax; Max-Age=${theme ? 31536000 : 0}${secure}`;
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const one of button.form.querySelectorAll("button")) {
      one.setAttribute("aria-pressed", String(one === button));
    }
  });

  /* Keys: `/` to the first picker, `g` and a letter to a page, `j` and `k` in tables, Esc closes. */
  let waitsForLetter = false;

  function walk(step) {
    const rows = [...document.querySelectorAll("table[data-walk] tbody tr")].filter((row) => row.querySelector("a"));
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step];
    if (next) next.querySelector("a").focus();
  }

  const actions = {
    "/": () => {
      const search = document.querySelector("[data-search]");
      (search || document.querySelector(".controls select, .controls a"))?.focus();
    },
    j: () => walk(1),
    k: () => walk(-1),
    Escape: () => {
      const open = document.querySelector("details.pop[open]");
      if (!open) return;
      open.open = false;
      open.querySelector("summary").focus();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing && event.key !== "Escape") return;
    if (waitsForLetter) {
      waitsForLetter = false;
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) link.click();
      return;
    }
    waitsForLetter = event.key === "g";
    const action = actions[event.key];
    if (!action) return;
    if (event.key !== "Escape") event.preventDefault();
    action();
  });

  /* Times in the reader's own zone; the exact UTC instant stays in the title. */
  const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });
  const full = new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "long", hourCycle: "h23" });

  function localTime(time) {
    const at = new Date(time.dateTime);
    if (time.dataset.full !== undefined) return full.format(at);
    const date = day.format(at);
    return date === day.format(new Date()) ? clock.format(at) : `${date}, ${clock.format(at)}`;
  }

  function localTimes() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = localTime(time);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  document.addEventListener("DOMContentLoaded", localTimes);
  document.addEventListener("DOMContentLoaded", () => {
    const here = document.querySelector(".nav a[aria-current]");
    if (here) here.closest(".nav").scrollLeft = here.offsetLeft - 40;
  });
  document.addEventListener("htmx:after:swap", localTimes);
})();
