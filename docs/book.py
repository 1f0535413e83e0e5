"The book's notebooks, as everything in docs/ reads them: their names, cells, directives and links."
import json
import posixpath
import re
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path

root = Path(__file__).resolve().parents[1]
nbs, out = root/'nbs', root/'_proc/pages'
npm = Path(sys.prefix)/'npm/node_modules'
cfg = ConfigParser()
cfg.read(root/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
online = cfg['doc_host'] + cfg['doc_baseurl'] + '/'
blob = f"{cfg['git_url']}/blob/{cfg['branch']}/"

def docname(path):
    "A notebook's page is called as nbdev calls it: `02_Backward.ipynb` gives `backward`."
    return re.sub(r'^\d+[a-z]?_', '', Path(path).stem).lower()

def chapters():
    "The notebooks in the order of their numbers, without the home page."
    return [p for p in sorted(nbs.glob('*.ipynb')) if p.name != cfg['readme_nb']]

def path_chapters():
    "The chapters that a newcomer walks through."
    return rooms()['The path']

# The rooms of the book stand in one place, the tables of the home page ----------------------------

ROOM = r'\*\*(?P<room>[^*]+)\*\*'
ROW = re.compile(rf'^(?:{ROOM}|\| \[(?P<label>[^]]+)\]\((?P<file>\d\d_\w+\.ipynb)\) \|)', re.M)

@cache
def contents():
    "Each room's chapters as the home page lists them, as `(label, path)`."
    text = next(t for t in map(source, cells(nbs/cfg['readme_nb'])) if '## The chapters' in t)
    found = {}
    for row in ROW.finditer(text):
        if row['room']: listed = found[row['room']] = []
        else: listed.append((row['label'], nbs/row['file']))
    return {name: listed for name, listed in found.items() if listed}

def rooms():
    "The rooms, each with the paths of its chapters in reading order."
    return {name: [p for _, p in listed] for name, listed in contents().items()}

def label(path):
    "The chapter as the home page calls it: `02 Backward`."
    known = {p: name for listed in contents().values() for name, p in listed}
    return known.get(path, path.stem.replace('_', ' '))

def read(path): return json.loads(path.read_text(encoding='utf-8'))
def source(cell): return ''.join(cell['source'])
def cells(path): return read(path)['cells']

def directives(text):
    "Split a cell's source into its `#|` directives, without blanks, and the code under them."
    lines = text.split('\n')
    found = {re.sub(r'\s', '', l)[2:] for l in lines if l.startswith('#|')}
    return found, '\n'.join(l for l in lines if not l.startswith('#|')).strip('\n')

def module_of(path):
    "The module that a notebook exports to, or None."
    text = '\n'.join(source(c) for c in cells(path))
    found = re.search(r'^#\|\s*default_exp\s+(\S+)', text, re.M)
    return found and f"{cfg['lib_name']}.{found[1]}"

def lead(path):
    "The sentence under a chapter's title."
    found = re.search(r'^> (.+)$', source(cells(path)[0]), re.M)
    return found[1] if found else ''

# Links --------------------------------------------------------------------------------------------

code_in_markdown = re.compile(r'(^ *```.*?^ *```|`[^`\n]*`)', re.M | re.S)
link = re.compile(r'(\]\(|\b(?:src|href|srcset)="|^\[[^]^][^]]*\]: *)' # what stands before a target
                  r'(?![a-z]+:|[#/])([^)"#\s]+)', re.M)                 # a file, and no place in it

def outside_code(text, change):
    "`text` with `change` made to its parts that are no code."
    parts = code_in_markdown.split(text)
    return ''.join(part if i % 2 else change(part) for i, part in enumerate(parts))

lost = [] # links to notebooks that are not there yet: the build says so, the tests refuse them

def missing(before, target):
    if not re.fullmatch(r'\d\d_\w+\.ipynb', target):
        raise SystemExit(f'a link to {target}, which is not there; correct the link')
    lost.append(target)
    return f"{before}{cfg['git_url']}/tree/{cfg['branch']}/nbs"

def relink(text, pages=None):
    """Notebooks link to notebooks, which become pages, and to files, which are found on GitHub.
    Of a book with only some of the `pages`, the others are on the site."""
    def fix(m):
        before, path = m.groups()
        target = posixpath.normpath(f'nbs/{path}')
        if not (root/target).exists(): return missing(before, path)
        if target.startswith('nbs/images/'): return before + path
        is_notebook = target.startswith('nbs/') and path.endswith('.ipynb')
        if not is_notebook: return before + blob + target
        if pages is None or docname(path) in pages: return f'{before}{docname(path)}.ipynb'
        return f'{before}{online}{docname(path)}.html'
    return outside_code(text, lambda part: link.sub(fix, part))
