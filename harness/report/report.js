"use strict";
// Without this script the page shows everything; with it, tables are sorted and filtered.
(() => {
  const every = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shows = (node, yes) => { node.hidden = !yes; };

  for (const table of every("table.sortable")) {
    const heads = every("thead th[data-sort]", table);
    for (const head of heads) head.querySelector("button").addEventListener("click", () => {
      const turned = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      const order = head.hasAttribute("aria-sort") ? turned : head.dataset.first;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const column = [...head.parentNode.children].indexOf(head), body = table.tBodies[0];
      const text = head.dataset.sort === "text", sign = order === "ascending" ? 1 : -1;
      const key = (row) => {
        const cell = row.children[column], value = cell.dataset.value ?? cell.textContent.trim();
        return text ? value : Number(value);
      };
      // Sorted, the rows of a group stand apart: its head goes away until the form is cleared.
      table.classList.add("flat");
      const rows = [...body.rows].filter((row) => !row.classList.contains("group")).map((row) => [key(row), row]);
      rows.sort(([a], [b]) => sign * (text ? a.localeCompare(b) : a - b));
      body.append(...rows.map(([, row]) => row));
      table.dispatchEvent(new Event("sorted"));
    });
  }

  const form = document.querySelector(".filters");
  if (form) {
    const table = document.getElementById("findings-table"), body = table.tBodies[0];
    const status = document.querySelector(".status"), more = document.querySelector(".more"), button = more.firstChild;
    const toggles = every("button[data-filter]", form), fields = every("select, input", form);
    const LIMIT = 25;
    let whole = false;
    const original = [...body.rows], findings = original.filter((row) => row.dataset.group);
    const head = (row) => document.getElementById(row.dataset.group);
    const words = new Map(findings.map((row) => [row, (row.textContent + head(row).textContent).toLowerCase()]));

    const wanted = (row) => {
      const pressed = {};
      for (const one of toggles) if (one.getAttribute("aria-pressed") === "true") (pressed[one.dataset.filter] ??= []).push(one.dataset.is);
      for (const [name, values] of Object.entries(pressed)) if (!values.includes(row.dataset[name])) return false;
      return fields.every((field) => !field.value || (field.dataset.filter === "text"
        ? field.value.toLowerCase().split(/\s+/).every((word) => words.get(row).includes(word))
        : row.dataset[field.dataset.filter] === field.value));
    };
    const filter = () => {
      const all = [...body.rows].filter((row) => row.dataset.group), heads = new Set();
      let count = 0;
      for (const row of all) {
        const yes = wanted(row);
        count += yes;
        shows(row, yes && (whole || count <= LIMIT));
        if (!row.hidden) heads.add(row.dataset.group);
      }
      for (const row of every("tr.group", body)) shows(row, heads.has(row.id));
      const hidden = whole ? 0 : Math.max(0, count - LIMIT);
      status.textContent = count === all.length ? `${count} findings` : `${count} of ${all.length} findings`;
      if (hidden) status.textContent += `, the first ${LIMIT} shown`;
      shows(more, hidden > 0);
      button.textContent = `Show all ${count}`;
    };
    const press = (one, yes) => one.setAttribute("aria-pressed", String(yes));
    for (const one of toggles) one.addEventListener("click", () => { press(one, one.getAttribute("aria-pressed") !== "true"); filter(); });
    for (const field of fields) field.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    const clear = () => { form.reset(); filter(); };
    form.addEventListener("reset", () => {
      for (const one of toggles) press(one, false);
      for (const one of every("[aria-sort]", table)) one.removeAttribute("aria-sort");
      table.classList.remove("flat");
      body.append(...original);
      setTimeout(filter);
    });
    button.addEventListener("click", () => {
      const next = [...body.rows].find((row) => row.dataset.group && row.hidden && wanted(row));
      whole = true;
      filter();
      next?.querySelector("summary")?.focus();
    });
    table.addEventListener("sorted", filter);
    // An address with the id of a finding leads to it, whatever is filtered.
    const follow = () => {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (!row || row.parentNode !== body) return;
      if (!row.getClientRects().length) { whole = true; clear(); }
      for (const one of every("details", row)) one.open = true;
      row.scrollIntoView({ block: "center" });
    };
    addEventListener("hashchange", follow);
    shows(form, true);
    shows(status, true);
    filter();
    follow();
  }

  const group = document.querySelector(".switch");
  if (group) {
    const buttons = every("button", group);
    const show = (chosen) => {
      for (const one of buttons) {
        one.setAttribute("aria-pressed", String(one === chosen));
        shows(document.getElementById(one.dataset.shows), one === chosen);
      }
    };
    for (const one of buttons) one.addEventListener("click", () => show(one));
    shows(group, true);
    show(buttons[0]);
  }

  for (const table of every("table.limited")) {
    const limit = Number(table.dataset.limit), rows = [...table.tBodies[0].rows];
    if (rows.length <= limit + 3) continue;
    const button = document.createElement("button"), line = document.createElement("p");
    let whole = false;
    const show = () => { [...table.tBodies[0].rows].forEach((row, place) => shows(row, whole || place < limit)); };
    button.type = "button";
    button.className = "plain";
    button.textContent = `Show all ${rows.length}`;
    line.className = "more";
    line.append(button);
    table.parentNode.after(line);
    button.addEventListener("click", () => { whole = true; show(); line.remove(); table.querySelector("tbody tr").scrollIntoView({ block: "nearest" }); });
    table.addEventListener("sorted", show);
    show();
  }
})();
