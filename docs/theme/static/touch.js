// The first page's field to try: a loss and its gradient, worked out anew at every change. Without
// scripts the sentence stays that stands in its place.
const place = document.querySelector(".touch");

const number = (v) => Number.isFinite(v) ? String(Number(v.toPrecision(4))).replace("-", "−") : "no number";

// As it stands in a product.
const factor = (v) => (v < 0 ? `(${number(v)})` : number(v));

const field = (name, value, step) => `<label>${name} <input type="number" step="${step}" value="${value}"></label>`;

const box = ([name, value, gradient]) =>
  `<li><b>${name}</b><span>${number(value)}</span><span class="gradient">gradient ${number(gradient)}</span></li>`;

const begin = { x: 3, w: 2, target: 1, rate: 0.02 };

const touch = () => {
  const fields = Object.entries(begin).map(([name, value]) => field(name === "rate" ? "learning rate" : name, value, name === "rate" ? 0.01 : 1));
  place.innerHTML = `<form aria-label="A loss and its gradient">${fields.join("")}</form>
    <ol class="boxes"></ol><p role="status"></p>
    <p><button type="button">Take a step downhill</button> <button type="button">Start again</button></p>
    <p class="a-step"></p>`;
  const inputs = Object.fromEntries(Object.keys(begin).map((name, k) => [name, place.querySelectorAll("input")[k]]));
  const [step, again] = place.querySelectorAll("button");
  const [status, next] = [place.querySelector("[role=status]"), place.querySelector(".a-step")];
  const missing = () => Object.entries(inputs).find(([, input]) => Number.isNaN(input.valueAsNumber));
  const slope = () => {
    const [x, w, target] = ["x", "w", "target"].map((name) => inputs[name].valueAsNumber);
    const error = x * w - target;
    return { x, w, error, gw: 2 * error * x };
  };
  const show = () => {
    const { x, w, error, gw } = slope();
    const rate = inputs.rate.valueAsNumber;
    const boxes = [["w", w, gw], ["p = x·w", x * w, 2 * error], ["d = p − target", error, 2 * error], ["loss = d²", error ** 2, 1]];
    place.querySelector(".boxes").innerHTML = boxes.map(box).join("");
    const moves = gw ? `${gw > 0 ? "rises" : "falls"} by ${number(Math.abs(gw))} times as much` : "stays as it is";
    const lost = missing();
    status.textContent = lost ? `${lost[0] === "rate" ? "The learning rate" : lost[0]} is no number.`
      : `The gradient of the loss with respect to w is ${number(gw)}: move w up a little, and the loss ${moves}.`;
    next.textContent = lost ? "" : `A step moves w against its gradient, by the learning rate times it: ${number(w)} − ${number(rate)} · ${factor(gw)} = ${number(w - rate * gw)}.`;
  };
  place.addEventListener("input", show);
  step.addEventListener("click", () => {
    const { w, gw } = slope();
    const moved = w - inputs.rate.valueAsNumber * gw;
    if (Number.isFinite(moved)) inputs.w.value = Number(moved.toPrecision(6));
    show();
  });
  again.addEventListener("click", () => {
    for (const [name, value] of Object.entries(begin)) inputs[name].value = value;
    show();
  });
  place.querySelector("form").addEventListener("submit", (e) => e.preventDefault());
  show();
};
if (place) touch();
