// What scrolls sideways can be reached and scrolled with the keyboard.
const reachable = () => {
  for (const e of document.querySelectorAll("article pre, article .table-wrapper, article div.math, article .cell_output, article p:has(> img)")) {
    const scrolls = e.scrollWidth > e.clientWidth;
    scrolls ? e.setAttribute("tabindex", "0") : e.removeAttribute("tabindex");
  }
};
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
