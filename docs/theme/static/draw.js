// The page that reads what one draws, in the places that ask for it: loaded when they come near the screen, as tall as it
// wants to be, light or dark as this page is. Without scripts a link stays that stands in its place.
const dressed = () => {
  const { theme } = document.body.dataset;
  return theme === "light" || theme === "dark" ? theme : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
};

const embed = (place) => {
  const frame = document.createElement("iframe");
  const up = document.documentElement.dataset.content_root ?? "./";
  frame.title = "Draw a digit, and see a network read it";
  frame.loading = "lazy";
  frame.src = `${up}draw.html#${place.classList.contains("whole") ? "" : "compact-"}${dressed()}`;
  addEventListener("message", ({ data, source }) => {
    if (source === frame.contentWindow && data?.mlfound === "height") frame.style.height = `${Math.ceil(data.height)}px`;
  });
  const dress = () => frame.contentWindow?.postMessage({ mlfound: "theme", theme: dressed() }, "*");
  new MutationObserver(dress).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  frame.addEventListener("load", dress);
  place.replaceChildren(frame);
};
for (const place of document.querySelectorAll("div.draw-here")) embed(place);
