"What the site's tests ask of a page in a browser: a tab that listens, and questions to it."
from pathlib import Path
from urllib.parse import unquote, urlsplit
from conftest import heard

class Tab:
    "A browser's tab that notes what its pages load and what they complain of."
    def __init__(self, page, site):
        self.page, self.site, self.loaded, self.complaints = page, site, {}, []

    def listening(self):
        return heard(self.page, request=lambda r: self.loaded.setdefault(r.url),
                     console=self.listen, pageerror=lambda e: self.complaints.append(str(e)))

    def listen(self, message):
        if message.type in ('error', 'warning'): self.complaints.append(message.text)

    def open(self, name):
        self.loaded.clear()
        self.complaints.clear()
        self.page.goto(f'{self.site.as_uri()}/{name}')
        self.page.evaluate('document.fonts.ready')
        return self.page

    def foreign(self):
        "What came from elsewhere."
        here = self.site.as_uri(), 'data:', 'blob:'
        return [url for url in self.loaded if not url.startswith(here)]

    def bytes(self, shared):
        "How much was loaded: of what all pages share, or of the page's own."
        files = {Path(unquote(urlsplit(u).path)) for u in self.loaded if u.startswith('file:')}
        return sum(f.stat().st_size for f in files if ('_static' in f.parts) == shared)

# Open every fold; a formula's signs are for eyes, its MathML for ears.
OPEN = '''async () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const signs of document.querySelectorAll(".katex-html[aria-hidden]")) signs.remove();
  await new Promise((done) => setTimeout(done, 100)); // what scrolls then becomes reachable
}'''

# The pieces of code and formulas mean nothing by themselves: set them aside, until colours count.
BARE = """() => {
  const whole = [...document.querySelectorAll("article pre, article math")];
  window.pieces = whole.map((e) => [e, [...e.childNodes]]);
  for (const [e] of pieces) e.textContent = e.textContent;
}"""

# Colours come by class: three of each kind, in each kind of parent, tell as much as hundreds.
PRUNE = '''() => {
  for (const [e, inside] of pieces) e.replaceChildren(...inside);
  const kind = (e) => e ? e.tagName + "." + e.className : "", seen = {};
  for (const e of [...document.querySelectorAll("article *")].reverse()) {
    if (e.closest(".moving") || !e.isConnected || e.querySelector(".moving")) continue;
    const around = e.closest(".cell_input, .cell_output, dl");
    const key = [e, e.parentElement, around].map(kind).join(" < ");
    if ((seen[key] = (seen[key] ?? 0) + 1) > 3) e.remove();
  }
}'''

# What axe finds. A card of the tape's figure is named in words and shows signs: gradient 26, ∂26.
AXE = '''async (options) => {
  const how = {preload: false, iframes: false, resultTypes: ["violations"]}; // no frames: own pages
  const found = await axe.run(document, {...how, ...options});
  const inFigure = (n) => document.querySelector(n.target[0]).closest(".moving");
  const where = (n) => n.target.join(" ") + " " + n.html.slice(0, 120);
  for (const v of found.violations)
    if (v.id === "label-content-name-mismatch") v.nodes = v.nodes.filter((n) => !inFigure(n));
  const left = found.violations.filter((v) => v.nodes.length);
  return left.map((v) => v.id + ": " + v.nodes.slice(0, 3).map(where).join(" | "));
}'''

# What differs in the dark.
COLOURS = ['color-contrast', 'link-in-text-block']
IN_THE_DARK = dict(runOnly=dict(type='rule', values=COLOURS))

# What is wider than the screen, and does not scroll by itself.
WIDE = '''() => {
  const clips = (e) => /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX);
  const scrolls = (e) => e && e.tagName !== "ARTICLE" && (clips(e) || scrolls(e.parentElement));
  const beyond = (e) => e.getBoundingClientRect().right > innerWidth + 1;
  const all = [...document.querySelectorAll("article *")];
  const wide = all.filter((e) => beyond(e) && !scrolls(e.parentElement)).slice(0, 3);
  const page = document.documentElement.scrollWidth > innerWidth ? ["the page itself"] : [];
  return [...wide.map((e) => e.outerHTML.slice(0, 120)), ...page];
}'''

# What of the page's frame does not fit the screen.
SIDEWAYS = '''() => {
  const inside = (r) => r.width > 0 && r.left >= 0 && r.right <= innerWidth + 1;
  const text = document.querySelector(".content");
  const switches = [...document.querySelectorAll(".theme-toggle")];
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page");
  if (text.scrollWidth > text.clientWidth + 1) found.push("the text");
  if (!switches.some((e) => inside(e.getBoundingClientRect()))) found.push("no switch to the dark");
  return found;
}'''

# How many words the search knows, and those for which it shows nothing.
EVERY_WORD = '''() => {
  const text = SEARCH_DATA.map((r) => r.title + " " + r.text).join(" ");
  const found = MiniSearch.getDefault("tokenize")(text.toLowerCase());
  const words = [...new Set(found)].filter((w) => w);
  const shows = (r) => !r.text || excerpt(r.text, r.terms).textContent;
  const silent = words.filter((word) => {
    try {
      const hits = find(word).slice(0, 3);
      return !hits.length || !hits.every(shows);
    } catch (error) { return true; }
  });
  return [words.length, silent];
}'''
