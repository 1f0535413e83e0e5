// On a narrow screen a figure shrinks to two thirds, no further, so that its words can be read; then it scrolls.
const narrow = matchMedia("(max-width: 46em)");
const fit = () => {
  for (const e of document.querySelectorAll("article .cell_output img, article p > img:only-child")) {
    const width = e.naturalWidth * (/[.]png$/.test(e.src) ? 96 / 220 : 1); // pictures have 220 dots an inch, drawings 96
    e.style.maxWidth = narrow.matches ? `max(100%, ${Math.min(576, Math.round(0.65 * width))}px)` : "";
  }
};

// Sentences that a cell prints are broken where the page ends; what is laid out in lines scrolls, as code does.
for (const e of document.querySelectorAll("article .cell_output pre")) {
  const lines = e.textContent.trimEnd().split("\n"), long = lines.filter((l) => l.length > 102);
  e.classList.toggle("sentences", 10*long.length >= lines.length && long.length > 0);
}

// What scrolls sideways can be reached and scrolled with the keyboard, and fades where there is more of it.
const more = (e) => e.classList.toggle("more", e.scrollLeft + e.clientWidth < e.scrollWidth - 2);
const reachable = () => {
  fit();
  for (const e of document.querySelectorAll("article pre, article .table-wrapper, article div.math, article .cell_output, article p:has(> img)")) {
    const scrolls = e.scrollWidth > e.clientWidth;
    scrolls ? e.setAttribute("tabindex", "0") : e.removeAttribute("tabindex");
    more(e);
  }
};
addEventListener("scroll", (e) => { if (e.target.matches?.("article [tabindex]")) more(e.target); }, true);
addEventListener("load", reachable);
addEventListener("resize", reachable);
addEventListener("toggle", reachable, true); // a fold was opened

// The two switches of the side bars are check boxes: let Enter turn them, too.
for (const box of document.querySelectorAll(".sidebar-toggle")) {
  box.addEventListener("keydown", (e) => { if (e.key === "Enter") box.click(); });
}

// A link into a fold opens it.
const unfold = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  let fold = place?.closest("details:not([open])");
  if (!fold) return;
  for (; fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place.scrollIntoView();
};
addEventListener("DOMContentLoaded", unfold);
addEventListener("hashchange", unfold);
