/* Says what a column holds when it is pointed at or focused. The numbers come from the chart's
   own table, so that there is one truth; without script, the table and the links remain. */
"use strict";

(() => {
  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function dot(slot) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 9 9");
    svg.setAttribute("class", "dot");
    const rect = document.createElementNS(space, "rect");
    for (const [name, value] of [["class", `f${slot}`], ["width", 9], ["height", 9], ["rx", 2.5]]) {
      rect.setAttribute(name, value);
    }
    svg.append(rect);
    return svg;
  }

  function fill(tip, chart, index) {
    const table = document.getElementById(chart.dataset.chart);
    const heads = [...table.tHead.rows[0].cells];
    const cells = [...table.tBodies[0].rows[index].cells];
    const title = element("b", "", cells[0].textContent);
    title.append(element("span", "", cells.at(-2).textContent));
    const lines = [];
    heads.forEach((head, place) => {
      if (head.dataset.slot === undefined || !cells[place].textContent) return;
      const line = element("div");
      line.append(dot(head.dataset.slot), element("span", "", head.textContent), cells[place].textContent);
      lines.push(line);
    });
    tip.replaceChildren(title, ...lines.reverse());
  }

  function place(tip, chart, column) {
    const box = chart.getBoundingClientRect();
    const at = column.getBoundingClientRect();
    const right = at.right - box.left + 10;
    const left = at.left - box.left - tip.offsetWidth - 10;
    const x = right + tip.offsetWidth <= box.width ? right : Math.max(0, left);
    tip.style.transform = `translate(${Math.round(x)}px, 4px)`;
  }

  function show(event) {
    const column = event.target.closest?.(".chart .plot a");
    if (!column) return;
    const chart = column.closest(".chart");
    let tip = chart.querySelector(".tip");
    if (!tip) {
      tip = element("div", "tip");
      tip.setAttribute("aria-hidden", "true");
      chart.append(tip);
    }
    tip.hidden = false;
    fill(tip, chart, [...column.parentNode.querySelectorAll("a")].indexOf(column));
    place(tip, chart, column);
  }

  function hide(event) {
    const chart = event.target.closest?.(".chart");
    const next = event.relatedTarget?.closest?.(".chart .plot a");
    if (!chart || next) return;
    const tip = chart.querySelector(".tip");
    if (tip) tip.hidden = true;
  }

  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, show);
  for (const name of ["pointerout", "focusout"]) document.addEventListener(name, hide);
})();
