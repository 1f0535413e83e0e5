"""Print how long each page of the path is: words, lines of code in sight and folded, screens.
Solutions of exercises are counted apart: they are what the reader writes.

    python docs/screens.py                    builds the site, then measures chapters 00 to 05
    python docs/screens.py 04 14_Fit          only these chapters, of the path or not
    python docs/screens.py --site _site 02    measures a site that is built already
"""
import argparse
import sys
import tempfile
from pathlib import Path

from book import chapters, docname, path_chapters
from browser import chromium
from build import build

WIDTH, HEIGHT = 1280, 900

MEASURE = '''() => {
  const article = document.querySelector("article");
  const folds = [...article.querySelectorAll("details")];
  const lines = (e) => e.textContent.trimEnd().split("\\n").length;
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const height = () => document.documentElement.scrollHeight / innerHeight;
  const code = [...article.querySelectorAll("div.cell_input pre")];
  const folded = (e) => e.closest("details:not([open])") !== null;
  const solution = (e) => e.closest("section[id^=exercise]") !== null;
  for (const f of folds) f.open = false;
  const prose = [...article.querySelectorAll("p, li, h1, h2, h3, h4, td, th, summary")];
  const inner = (e) => prose.some((o) => o !== e && e.contains(o));
  const words = (e) => e.innerText.split(/\\s+/).filter((w) => w).length;
  const found = {
    words: sum(prose.filter((e) => !inner(e) && e.offsetParent).map(words)),
    shown: sum(code.filter((e) => !folded(e)).map(lines)),
    folded: sum(code.filter((e) => folded(e) && !solution(e)).map(lines)),
    solutions: sum(code.filter((e) => folded(e) && solution(e)).map(lines)),
    folds: folds.length,
    screens: height(),
  };
  for (const f of folds) f.open = true;
  found.unfolded = height();
  for (const f of folds) f.open = false;
  return found;
}'''

def measure(browser, site, pages):
    "What MEASURE finds on each of the named pages, by page."
    tab = browser.new_page(viewport=dict(width=WIDTH, height=HEIGHT))
    found = {}
    for name in pages:
        tab.goto(f'{Path(site).as_uri()}/{name}.html')
        tab.evaluate('document.fonts.ready')
        found[name] = tab.evaluate(MEASURE)
    tab.close()
    return found

def wanted(names):
    "The notebooks whose number or name begins like one of `names`; without names, the path."
    if not names: return path_chapters()
    return [p for p in chapters() if any(p.name.startswith(Path(n).name) for n in names)]

def main():
    as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument('chapters', nargs='*')
    parser.add_argument('--site', type=Path, help='a folder with the built site')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = args.site or Path(folder)/'site'
        if not args.site and (failed := build(site, with_ebook=False)): return failed
        with chromium() as browser:
            found = measure(browser, site.resolve(), [docname(p) for p in wanted(args.chapters)])
    print('page            words  code lines  folded  solutions  folds  screens  unfolded',
          f'  at {WIDTH} x {HEIGHT}')
    for page, m in found.items():
        print(f"{page:14}{m['words']:7}{m['shown']:12}{m['folded']:8}{m['solutions']:11}"
              f"{m['folds']:7}{m['screens']:9.2f}{m['unfolded']:10.1f}")
    return 0

if __name__ == '__main__':
    sys.exit(main())
