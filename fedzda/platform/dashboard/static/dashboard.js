// Keeps an open page true: a live run, or the list of runs. Without it a page is true when it is loaded.
(() => {
  "use strict";
  const PANEL_PAUSE_MS = 2500; // drawing costs the machine that trains
  const byId = (id) => document.getElementById(id);

  // Listens while the page can be seen: browsers allow few connections to one server.
  function listen(address, take, end) {
    let source = null;
    let over = false;
    function open() {
      if (source || over || document.hidden) return;
      source = new EventSource(address);
      source.addEventListener("message", (event) => take(JSON.parse(event.data)));
      source.addEventListener("end", () => {
        over = true;
        source.close();
        if (end) end();
      });
    }
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) return open();
      if (source) source.close();
      source = null;
    });
    addEventListener("pagehide", () => source && source.close());
    open();
  }

  function badge(place, state) {
    const shown = place && place.querySelector(".badge");
    if (!shown || shown.lastChild.textContent === state) return false;
    shown.lastChild.textContent = state;
    const role = { finished: "done", running: "live", starting: "live" }[state] || "open";
    shown.className = "badge " + role;
    return true;
  }

  // --- one run ---------------------------------------------------------------------------------
  const panel = byId("panel");
  let asked = 0;
  let waiting = null;

  async function refresh() {
    waiting = null;
    asked = Date.now();
    panel.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(panel.dataset.panel);
      if (answer.ok) replace(await answer.text());
    } finally {
      panel.setAttribute("aria-busy", "false");
    }
  }

  // Open tables stay open, and the focus stays on the chart that it was on.
  function replace(text) {
    const open = [...panel.querySelectorAll("figure[id] details[open]")].map((d) => d.closest("figure").id);
    const inside = panel.contains(document.activeElement) && document.activeElement.closest("figure[id]");
    const kind = inside && document.activeElement.classList.contains("plot") ? ".plot" : "summary";
    panel.innerHTML = text;
    for (const id of open) {
      const details = panel.querySelector(`figure[id="${CSS.escape(id)}"] details`);
      if (details) details.open = true;
    }
    if (inside) {
      const again = panel.querySelector(`figure[id="${CSS.escape(inside.id)}"] ${kind}`);
      if (again) again.focus({ preventScroll: true });
    }
    dispatchEvent(new Event("charts"));
  }

  function soon() {
    if (waiting) return;
    waiting = setTimeout(refresh, Math.max(0, asked + PANEL_PAUSE_MS - Date.now()));
  }

  const live = document.querySelector("[data-live-run]");
  if (live) {
    let round = Number(byId("bar").value);
    listen(
      live.dataset.liveRun,
      (state) => {
        byId("bar").max = state.planned || 1;
        byId("bar").value = state.round;
        byId("sentence").textContent = state.sentence;
        byId("left").textContent = state.left;
        byId("rounds").textContent = state.rounds;
        badge(byId("state"), state.state);
        if (state.round !== round) soon();
        round = state.round;
      },
      () => {
        clearTimeout(waiting);
        refresh();
      },
    );
  }

  // --- the list --------------------------------------------------------------------------------
  const news = document.querySelector("[data-live-list]");
  if (news) {
    let known = null; // ids; those of the first message are not new
    let added = 0;
    listen(news.dataset.liveList, ({ runs }) => {
      const fresh = known ? Object.keys(runs).filter((id) => !known.has(id)) : [];
      known = new Set([...(known || []), ...Object.keys(runs)]);
      for (const [id, cells] of Object.entries(runs)) {
        const row = document.querySelector(`[data-run="${CSS.escape(id)}"]`);
        if (!row) continue;
        badge(row, cells.state);
        for (const name of ["round", "mean", "worst10"]) {
          const cell = row.querySelector("." + name);
          if (!cell || cell.textContent === cells[name]) continue;
          cell.textContent = cells[name];
          cell.classList.remove("changed");
          void cell.offsetWidth; // begins the animation anew
          cell.classList.add("changed");
        }
      }
      added += fresh.length;
      if (added) news.textContent = `${added} new since this page was loaded: reload it to see them.`;
    });
  }
})();
