// The page that reads what one draws, in the places that ask for it, and any other page in a frame that says how tall it is:
// loaded when they come near the screen, as tall as they want to be, light or dark as this page is. Without scripts a link
// stays in the place of the first.
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
  place.replaceChildren(frame);
};
for (const place of document.querySelectorAll("div.draw-here")) embed(place);

const frames = [...document.querySelectorAll("iframe")];
const dress = (frame) => frame.contentWindow?.postMessage({ mlfound: "theme", theme: dressed() }, "*");
const dressAll = () => frames.forEach(dress);
addEventListener("message", ({ data, source }) => {
  const frame = frames.find((each) => each.contentWindow === source);
  if (frame && data?.mlfound === "height") frame.style.height = `${Math.ceil(data.height)}px`;
});
for (const frame of frames) frame.addEventListener("load", () => dress(frame));
new MutationObserver(dressAll).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dressAll);
dressAll(); // a frame that was here before this script hears of it now, and says how tall it is
