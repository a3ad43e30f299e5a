"use strict";
// The page reads without this file. It adds: sorting, the theme switch, provenance on hover, and the viewer's slider.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Theme: the system's, until the reader chooses. A page opened from a file may be refused storage.
{
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = document.querySelector(".theme");
  const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", dark() ? "Use light colours" : "Use dark colours"); };
  if (stored()) root.dataset.theme = stored();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* chosen for this visit only */ }
    say();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();
}

// Sorting: down, up, then the paper's order again. Rows without a value stay last.
for (const table of all("table.scores")) {
  table.classList.remove("still");
  const body = table.tBodies[0];
  const printed = [...body.rows];
  const heads = all("thead th[aria-sort]", table);
  for (const head of heads) {
    const column = Number(head.dataset.column);
    const numeric = head.dataset.numeric === "yes";
    const first = numeric ? "descending" : "ascending";
    const second = numeric ? "ascending" : "descending";
    head.querySelector(".sort").addEventListener("click", () => {
      const next = { none: first, [first]: second, [second]: "none" }[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const compare = (one, two) => {
        const [a, b] = [one, two].map((row) => row.cells[column].dataset.v);
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        return sign * (numeric ? a - b : a.localeCompare(b, "en"));
      };
      body.append(...(next === "none" ? printed : printed.toSorted(compare)));
    });
  }
}

// Provenance: a click or tap opens it without a script, and keeps it open; here hovering and focus show it too.
{
  const kept = new Set();
  const roomy = matchMedia("(min-width: 801px)");
  let timer = 0;
  const place = (button, box) => {
    box.classList.toggle("placed", roomy.matches);
    box.style.maxHeight = "";
    if (!roomy.matches) return;
    // Below its number, or above it where there is more room; never over it.
    const at = button.getBoundingClientRect();
    const below = innerHeight - at.bottom - 14, above = at.top - 14;
    const under = below >= Math.min(box.offsetHeight, 260) || below >= above;
    box.style.maxHeight = `${Math.min(box.offsetHeight, under ? below : above)}px`;
    const left = Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 24));
    const top = under ? at.bottom + 6 : at.top - 6 - box.offsetHeight;
    box.style.setProperty("--left", `${left}px`);
    box.style.setProperty("--top", `${top}px`);
  };
  for (const button of all(".number[popovertarget]")) {
    const box = button.popoverTargetElement;
    const isOpen = () => box.matches(":popover-open");
    const open = () => { if (!isOpen()) box.showPopover(); };
    const close = () => { if (isOpen() && !kept.has(box) && !box.matches(":hover")) box.hidePopover(); };
    button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") timer = setTimeout(open, 250); });
    button.addEventListener("pointerleave", (event) => {
      clearTimeout(timer);
      if (event.pointerType === "mouse") setTimeout(close, 250);
    });
    button.addEventListener("focus", () => { if (button.matches(":focus-visible")) open(); });
    button.addEventListener("blur", () => setTimeout(close, 50));
    button.addEventListener("click", (event) => {
      clearTimeout(timer);
      if (isOpen() && !kept.has(box)) event.preventDefault();
      if (!isOpen() || !kept.has(box)) kept.add(box);
    });
    box.addEventListener("beforetoggle", (event) => { if (event.newState === "open") box.from = document.activeElement === button || button.matches(":hover") ? button : box.from || button; });
    box.addEventListener("toggle", (event) => { if (event.newState === "closed") kept.delete(box); else place(box.from, box); });
    box.addEventListener("pointerleave", () => setTimeout(close, 250));
  }
}

// Figures: a slider between any two pictures of a scene, with zoom.
for (const viewer of all(".viewer")) {
  const figure = viewer.closest("section");
  const stage = viewer.querySelector(".stage");
  const slider = viewer.querySelector("input[type=range]");
  const [scenes, left, right] = ["scene", "left", "right"].map((name) => viewer.querySelector(`select[name=${name}]`));
  const rows = all("tr[data-scene]", figure);
  let zoom = 1, x = 0, y = 0;

  const shots = () => all(".shot", rows[scenes.value]);
  const shot = (title) => shots().find((one) => one.dataset.title === title);
  const draw = () => {
    const { clientWidth: width, clientHeight: height } = stage;
    x = Math.min(0, Math.max(width * (1 - zoom), x));
    y = Math.min(0, Math.max(height * (1 - zoom), y));
    for (const [name, value] of [["--zoom", zoom], ["--x", `${x}px`], ["--y", `${y}px`], ["--cut", `${slider.value}%`]]) {
      stage.style.setProperty(name, value);
    }
    stage.classList.toggle("deep", zoom > 1);
    viewer.querySelector("output").textContent = `${Math.round(100 * zoom)} %`;
  };
  const show = () => {
    for (const select of [left, right]) {
      for (const option of select.options) option.disabled = !shot(option.value);
      if (select.selectedOptions[0].disabled) select.value = "truth";
    }
    [left, right].forEach((select, side) => {
      const chosen = shot(select.value);
      const image = stage.querySelectorAll("img")[side];
      image.src = chosen.firstElementChild.src;
      image.alt = chosen.firstElementChild.alt;
      stage.querySelectorAll(".tag")[side].textContent = chosen.dataset.dice ? `${select.value} ${chosen.dataset.dice}` : select.value;
    });
    for (const one of all(".shot", figure)) {
      one.setAttribute("aria-pressed", String(shots().includes(one) && [left.value, right.value].includes(one.dataset.title)));
    }
    const size = shots()[0].firstElementChild;
    stage.style.aspectRatio = `${size.getAttribute("width")} / ${size.getAttribute("height")}`;
    draw();
  };
  const zoomTo = (factor, px = stage.clientWidth / 2, py = stage.clientHeight / 2) => {
    const next = Math.min(16, Math.max(1, zoom * factor));
    x = px - (px - x) * next / zoom;
    y = py - (py - y) * next / zoom;
    zoom = next;
    draw();
  };

  for (const select of [scenes, left, right]) select.addEventListener("change", show);
  slider.addEventListener("input", draw);
  for (const button of all("[data-zoom]", viewer)) {
    button.addEventListener("click", () => zoomTo(Number(button.dataset.zoom) || 1 / zoom));
  }
  rows.forEach((row, number) => all(".shot", row).forEach((one) => one.addEventListener("click", () => {
    scenes.value = String(number);
    right.value = one.dataset.title;
    if (left.value === right.value) left.value = right.value === "truth" ? "image" : "truth";
    show();
    viewer.scrollIntoView({ block: "nearest" });
  })));

  const inside = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  // A wheel scrolls the page; it zooms once the picture was chosen, or with Ctrl, which is also how a touchpad pinches.
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== stage) return;
    event.preventDefault();
    zoomTo(Math.exp(-event.deltaY / 300), ...inside(event));
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.key === "+" || event.key === "=") zoomTo(1.5);
    else if (event.key === "-") zoomTo(1 / 1.5);
    else if (event.key === "0") zoomTo(1 / zoom);
    else if (steps[event.key] && zoom > 1) { x += steps[event.key][0]; y += steps[event.key][1]; draw(); }
    else return;
    event.preventDefault();
  });
  const fingers = new Map();
  let cutting = false;
  stage.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, inside(event));
    stage.setPointerCapture(event.pointerId);
    const [px] = inside(event);
    cutting = zoom === 1 || Math.abs(px - stage.clientWidth * slider.value / 100) < 24;
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const [px, py] = inside(event), [ox, oy] = fingers.get(event.pointerId);
    const others = [...fingers].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const [qx, qy] = others[0][1];
      zoomTo(Math.hypot(px - qx, py - qy) / Math.max(1, Math.hypot(ox - qx, oy - qy)), (px + qx) / 2, (py + qy) / 2);
    } else if (cutting) { slider.value = 100 * px / stage.clientWidth; draw(); }
    else { x += px - ox; y += py - oy; draw(); }
    fingers.set(event.pointerId, [px, py]);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => fingers.delete(event.pointerId));

  viewer.hidden = false;
  new ResizeObserver(draw).observe(stage);
  show();
}

// On a phone the charts are unfolded by those who want them.
if (innerWidth <= 800) for (const charts of all("details.charts")) charts.open = false;

// The chapter that is being read.
{
  const links = new Map(all(".bar a").map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      for (const link of links.values()) link.classList.remove("here");
      links.get(entry.target.id)?.classList.add("here");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const id of links.keys()) { const chapter = document.getElementById(id); if (chapter) watch.observe(chapter); }
}

addEventListener("beforeprint", () => all("details").forEach((one) => { one.dataset.was = one.open; one.open = true; }));
addEventListener("afterprint", () => all("details").forEach((one) => { one.open = one.dataset.was === "true"; }));
