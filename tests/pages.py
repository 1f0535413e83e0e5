"What a page of the built site says of itself, read without a browser."
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
