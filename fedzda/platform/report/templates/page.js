// Reads chart values aloud and under the pointer. Without it the page keeps all its content.
(() => {
  "use strict";
  const tip = document.getElementById("tip");
  let current = null;

  function leave() {
    if (current) current.classList.remove("at");
    current = null;
    tip.hidden = true;
  }

  function meet(mark) {
    if (mark === current) return;
    leave();
    current = mark;
    mark.classList.add("at");
    tip.textContent = mark.getAttribute("data-tip");
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const middle = box.left + box.width / 2 - tip.offsetWidth / 2;
    const right = document.documentElement.clientWidth - tip.offsetWidth - 4;
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = Math.max(4, Math.min(middle, right)) + "px";
    tip.style.top = (above > 0 ? above : box.bottom + 8) + "px";
  }

  // The mark beside `from` in the direction of the key; on a line of points, simply the next one.
  function step(marks, from, key) {
    const at = marks.indexOf(from);
    if (at < 0) return marks[0];
    if (key === "Home") return marks[0];
    if (key === "End") return marks[marks.length - 1];
    const row = Number(from.getAttribute("data-row"));
    if (!from.hasAttribute("data-row")) {
      const forward = key === "ArrowRight" || key === "ArrowUp";
      return marks[Math.max(0, Math.min(marks.length - 1, at + (forward ? 1 : -1)))];
    }
    const width = marks.filter((mark) => Number(mark.getAttribute("data-row")) === row).length;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: width, ArrowUp: -width };
    return marks[at + moves[key]] || from;
  }

  const known = new WeakSet();
  function attach(plot) {
    if (known.has(plot)) return;
    known.add(plot);
    const marks = [...plot.querySelectorAll("[data-tip]")];
    plot.addEventListener("pointerover", (event) => {
      const mark = event.target.closest("[data-tip]");
      if (mark) meet(mark);
      else leave();
    });
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return leave();
      if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key) || !marks.length) return;
      event.preventDefault();
      const mark = step(marks, current, event.key);
      mark.scrollIntoView({ block: "nearest", inline: "nearest" });
      meet(mark);
    });
  }

  // A live page takes charts out and puts newer ones in their place.
  addEventListener("charts", () => {
    leave();
    document.querySelectorAll(".plot").forEach(attach);
  });
  document.querySelectorAll(".plot").forEach(attach);
  addEventListener("scroll", () => current && !current.closest(".plot").matches(":focus") && leave(), true);
})();
