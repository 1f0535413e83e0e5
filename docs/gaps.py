"""Print what a page speaks of and does not show: prose that announces code which does not follow,
names that nothing on the page defines or imports, and functions that the reader can see nowhere.
In chapters of the path: what the code in sight needs, and only a fold has that does not say so.

    python docs/gaps.py          all chapters
    python docs/gaps.py 04 14    only these
"""
import ast
import builtins
import keyword
import re
import sys

from book import cells, chapters, code_in_markdown, directives, path_chapters, source
from folds import SET_UP, defined, folds
from prepare import page
from symbols import elsewhere, index

# Prose that announces code ------------------------------------------------------------------------

# A list, a table, a formula, a fence, a picture, a fold.
FOLLOWS = re.compile(r'\s*(?:[-*|>$<`!]|\d+[.)] |\*\*)')

def announcements(path):
    "Paragraphs that end with a colon, with nothing after it that it could announce."
    blocks = [] # of (text, is it what a colon may announce?)
    for cell in page(path):
        if cell['cell_type'] == 'code': blocks.append(('', True))
        else:
            text = re.sub(r'^```.*?^```', lambda m: '```', source(cell), flags=re.M | re.S)
            parts = [part for part in re.split(r'\n\s*\n', text) if part.strip()]
            blocks += [(part, bool(FOLLOWS.match(part))) for part in parts]
    blocks.append(('', False))
    for (text, _), (_, follows) in zip(blocks, blocks[1:]):
        if text.rstrip().endswith(':') and not text.startswith('#') and not follows:
            yield f'announces what does not follow: … {text.strip()[-70:]}'

# Names that are not there -------------------------------------------------------------------------

def parsed(cell):
    "A cell's code as a tree, without what only IPython reads; None for a cell that does not run."
    found, code = directives(source(cell))
    if 'eval:false' in found: return None
    lines = ['' if l.lstrip().startswith(('%', '!')) else l for l in code.split('\n')]
    return ast.parse('\n'.join(lines))

NAMED = ast.ExceptHandler, ast.MatchAs, ast.MatchStar # that bind a name, or none

def bound(tree):
    "Every name to which this code binds something."
    names = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load): names.add(n.id)
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)): names.add(n.name)
        if isinstance(n, ast.arg): names.add(n.arg)
        if isinstance(n, ast.alias): names.add((n.asname or n.name).split('.')[0])
        if isinstance(n, NAMED) and n.name: names.add(n.name)
    return names

def is_use(n): return isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
def used(tree): return {n.id for n in ast.walk(tree) if is_use(n)}

def at_once(tree):
    "The names that a cell looks up when it runs, not when a function of its is called."
    top = [n for n in tree.body if not isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    everything = [m for n in top for m in ast.walk(n)]
    later = {id(m) for f in everything if isinstance(f, ast.Lambda) for m in ast.walk(f)}
    return {m.id for m in everything if is_use(m) and id(m) not in later}

def unbound(path):
    "Names that code uses, and that no code above it (for a function: on the page) binds."
    trees = [t for c, _, _ in folds(cells(path)) if c['cell_type'] == 'code' and (t := parsed(c))]
    known = {*dir(builtins), '__name__', '__file__', 'get_ipython', 'display', '__doc__'}
    everything = known.union(*map(bound, trees))
    for tree in trees:
        known |= bound(tree)
        for name in sorted((at_once(tree) - known) | (used(tree) - everything)):
            yield f'code uses a name that the page does not define or import before: {name}'

def outermost(tree):
    "The names that this code binds outside of functions and classes."
    inner = ast.FunctionDef, ast.ClassDef
    rest = [n for n in tree.body if not isinstance(n, inner)]
    return bound(ast.Module(rest, [])) | {*defined(tree.body)}

def promised(tree, title):
    "The names that a reader expects in a fold of this title; of a set-up, what it imports."
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    if title == SET_UP: return bound(ast.Module(imports, []))
    return {*re.findall(r'\w+', title)} & {*defined(tree.body)}

def buried(path):
    "Names of code in sight that only a fold binds, without a word of it in the fold's title."
    seen, hidden, text = set(), {}, ''
    for cell, how, inside in folds(cells(path)):
        if cell['cell_type'] == 'markdown': text = source(cell)
        tree = parsed(cell) if cell['cell_type'] == 'code' else None
        if not tree: continue
        title = re.findall('<summary>(.*?)</summary>', text)[-1] if inside else how.name
        own = promised(tree, title) if title else outermost(tree)
        if title: hidden |= dict.fromkeys(outermost(tree) - own, title)
        else:
            for name in sorted(at_once(tree) & {*hidden} - seen - own):
                yield f'code in sight needs what is folded under "{hidden[name]}": {name}'
                seen.add(name) # once is enough
        seen |= own

def spoken(path):
    "What a page's text has in backticks that can be called, or that is private."
    for cell in cells(path):
        if cell['cell_type'] != 'markdown': continue
        for part in code_in_markdown.split(source(cell))[1::2]:
            found = re.fullmatch(r'`([A-Za-z_][\w.]*)(\(.*\))?`', part)
            if found and (found[2] or found[1].split('.')[-1].startswith('_')): yield found[1]

def unseen(path):
    "Functions that the text speaks of, in no code of the page, and with no link that leads there."
    texts = [source(c) for c in cells(path)]
    code = [t for t, c in zip(texts, cells(path)) if c['cell_type'] == 'code']
    fences = re.findall(r'^ *```.*?^ *```', '\n'.join(texts), re.M | re.S)
    words = {*re.findall(r'\w+', '\n'.join(code + fences)), *keyword.kwlist}
    for name in sorted({*spoken(path)}):
        first, last = name.split('.')[0], name.split('.')[-1]
        public = name in index() and not last.startswith('_')
        if last not in words and not public and not elsewhere(last) and not elsewhere(first):
            yield f'text speaks of a function that the page shows nowhere: {name}'

def gaps(path):
    found = [*announcements(path), *unbound(path), *unseen(path)]
    return [*found, *buried(path)] if path in path_chapters() else found

def main():
    asked = sys.argv[1:]
    for path in chapters():
        if asked and not any(path.name.startswith(a) for a in asked): continue
        found = gaps(path)
        print(f'{path.name}: {len(found) or "no"} gap{"s" * (len(found) != 1)}')
        for gap in found: print('   ', gap)

if __name__ == '__main__': main()
