// Set formulas: a JSON [formula, display?, output] a line comes in, a JSON {html} or {error} a line goes out. Called by docs/formulas.py.
const katex = require(process.argv[2]);
const set = (tex, displayMode, output) => {
  try { return { html: katex.renderToString(tex, { displayMode, output, throwOnError: true, strict: "error" }) }; }
  catch (e) { return { error: e.message }; }
};
require("readline").createInterface({ input: process.stdin }).on("line", (line) => console.log(JSON.stringify(set(...JSON.parse(line)))));
