"What a page of the built site says of itself, read without a browser."
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

LOADED = 'stylesheet', 'icon', 'prefetch', 'preload'

class Page(HTMLParser):
    "A page's places, and what it points to or loads."
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.images = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if a.get('id'): self.ids.append(a['id'])
        if tag == 'a' and a.get('href'): self.links.append(a['href'])
        if tag in ('img', 'script', 'iframe', 'source', 'video') and a.get('src'):
            self.loads.append(a['src'])
        if tag == 'link' and {*LOADED} & {*a.get('rel', '').split()}: self.loads.append(a['href'])
        if tag == 'img': self.images.append(a.get('alt') or '')

VOID = set('img br hr input meta link source col wbr area base embed'.split())

class Kinds(HTMLParser):
    """What a browser may find fault with, by kind: tags with their classes and colours; the levels
    of the headings, and the signs and columns of what may be too wide."""
    def __init__(self, text):
        super().__init__()
        self.found, self.levels, self.open, self.columns, self.signs = set(), [], [], 0, 0
        self.cells = self.formula = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        classes = sorted((a.get('class') or '').split())
        drawn = any(kind.startswith('svg') for kind, _ in self.open)
        coloured = 'color' in (style := a.get('style') or '')
        if not drawn: self.found.add((tag, *classes, style if coloured else ''))
        if re.fullmatch('h[1-6]', tag): self.levels.append(int(tag[1]))
        if tag == 'tr': self.cells = 0
        if tag == 'math': self.formula = 0
        if tag in ('td', 'th'): self.cells += 1
        self.columns = max(self.columns, self.cells)
        if tag not in VOID: self.open.append((tag, classes))

    def handle_data(self, data):
        if any(tag == 'math' for tag, _ in self.open): self.formula += len(data.strip())
        self.signs = max(self.signs, self.formula)

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag: pass

def cover(kinds, first):
    """The pages to visit: `first`, those with the widest table and the longest formula, and others
    until each kind of element has been on one of them; those with most that is new to come."""
    extremes = [max(kinds, key=lambda n: getattr(kinds[n], what)) for what in ('columns', 'signs')]
    pages = [*dict.fromkeys([*first, *extremes])]
    seen = set().union(*(kinds[n].found for n in pages))
    def new(name): return len(kinds[name].found - seen)
    while new(best := max(kinds, key=new)):
        pages.append(best)
        seen |= kinds[best].found
    return pages

class Shown(HTMLParser):
    "The code of a page in order, each with whether a fold hides it."
    def __init__(self, text):
        super().__init__()
        self.cells, self.folds, self.divs, self.inside = [], 0, [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        classes = (dict(attrs).get('class') or '').split()
        if tag == 'details': self.folds += 1
        if tag == 'div': self.divs.append('cell_input' in classes)
        if tag == 'pre' and any(self.divs):
            self.inside = True
            self.cells.append(['', self.folds > 0])

    def handle_endtag(self, tag):
        if tag == 'details': self.folds -= 1
        if tag == 'div': self.divs.pop()
        if tag == 'pre': self.inside = False

    def handle_data(self, data):
        if self.inside: self.cells[-1][0] += data

def broken(site, pages):
    "Every link inside the site that leads nowhere, as `page: link`."
    for name, page in pages.items():
        for link in page.links + page.loads:
            url, fragment = urldefrag(urljoin(f'http://the.book/{name}', link))
            if urlsplit(url).netloc != 'the.book': continue
            target = unquote(urlsplit(url).path).lstrip('/') or 'index.html'
            places = pages[target].ids if target in pages else [unquote(fragment)]
            nowhere = fragment and unquote(fragment) not in places
            if not (site/target).is_file() or nowhere: yield f'{name}: {link}'
