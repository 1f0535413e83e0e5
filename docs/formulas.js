// Set formulas: a JSON [formula, display?] a line comes in, a JSON {html} or {error} a line goes out. Called by docs/conf.py.
const katex = require(process.argv[2]);
const set = (tex, displayMode) => {
  try { return { html: katex.renderToString(tex, { displayMode, throwOnError: true, strict: "error" }) }; }
  catch (e) { return { error: e.message }; }
};
require("readline").createInterface({ input: process.stdin }).on("line", (line) => console.log(JSON.stringify(set(...JSON.parse(line)))));
