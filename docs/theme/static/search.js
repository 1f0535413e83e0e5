// Search in search-data.js, which the build writes: a record for each section and each object of the library.
// A script and not a request, so that it works from a folder, too.
const form = document.querySelector(".search-form");
const input = form.querySelector("input");
const list = document.querySelector("#results");
const status_ = document.querySelector("#search-status");
const engine = new MiniSearch({
  fields: ["title", "text"], storeFields: ["title", "text", "page", "url", "object"],
  searchOptions: { boost: { title: 4 }, prefix: (term) => term.length > 2, fuzzy: (term) => (term.length > 5 ? 0.15 : 0), combineWith: "AND" },
});
engine.addAll(SEARCH_DATA.map((record, id) => ({ id, ...record })));

const bare = (name) => name.toLowerCase().replace(/\(.*/, "").trim();

function find(query) {
  const also = SYNONYMS[query.toLowerCase()]; // the word that the book has for it
  const asked = [query, also ?? query].map(bare);
  const weight = (r) => r.score * (r.object ? 1.5 : 1) * (asked.includes(bare(r.title)) ? 100 : r.object && bare(r.title).endsWith("." + asked[0]) ? 20 : 1);
  const all = (words) => ({ combineWith: "AND", queries: [words] });
  let hits = engine.search(also ? { combineWith: "OR", queries: [all(query), all(also)] } : query);
  if (!hits.length) hits = engine.search(query, { combineWith: "OR" });
  return hits.map((r) => ({ ...r, weight: weight(r) })).sort((a, b) => b.weight - a.weight).slice(0, 40);
}

// A term as a regular expression reads it; with the flag u, only the signs that mean something may be escaped.
const literally = (term) => term.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

function excerpt(text, terms) {
  // A piece of the text around the first term, whole words, the terms marked.
  const p = document.createElement("p");
  const words = new RegExp(`(${terms.map(literally).join("|")})`, "giu");
  const at = Math.max(text.search(words), 0);
  const start = at < 90 ? 0 : text.indexOf(" ", at - 80) + 1;
  const end = text.length < start + 240 ? text.length : text.lastIndexOf(" ", start + 240);
  const piece = (start ? "… " : "") + text.slice(start, end) + (end < text.length ? " …" : "");
  for (const [i, part] of piece.split(words).entries()) {
    p.append(i % 2 ? Object.assign(document.createElement("mark"), { textContent: part }) : part);
  }
  return p;
}

function show() {
  const query = input.value.trim();
  const hits = query ? find(query) : [];
  list.replaceChildren(...hits.map((r) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { href: r.url, textContent: r.title });
    const where = Object.assign(document.createElement("span"), { className: "where", textContent: r.page });
    item.append(link, where, excerpt(r.text, r.terms));
    return item;
  }));
  status_.textContent = !query ? "" : hits.length === 1 ? "One place." : hits.length ? `${hits.length} places.` : `Nothing found for “${query}”.`;
}

input.value = new URLSearchParams(location.search).get("q") ?? "";
input.addEventListener("input", show);
form.addEventListener("submit", (e) => { e.preventDefault(); show(); });
show();
