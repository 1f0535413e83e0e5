"""Write mlfound/assets/workbook.json from the book: of every exercise its words, from the page of
exercises, and its solution, from the chapter that it points to; and list the exercises of each
chapter in the chapter itself. `--check` only says what is not up to date."""
import ast
import json
import re
import sys
from importlib import import_module

from book import nbs, read, root, source
from folds import text_of

sys.path.insert(0, str(root))
from mlfound.exercises import CHAPTERS, EXERCISES # noqa: E402 (the library beside this file)
from mlfound.fits import packed # noqa: E402
from mlfound.pieces import WorkbookError, foreign, name_of, piece # noqa: E402
from mlfound.workbook import notebook # noqa: E402

PAGE, FILE = nbs/'73_Exercises.ipynb', root/'mlfound/assets/workbook.json'
TITLE = re.compile(r'### (\d\d\.\d+) (.+)\n')
FOLDED = re.compile(r'<details><summary>(.+?)</summary>\n(.+?)</details>', re.S)
WORDS = dict(hints=('Hint', 'Another hint'), why=('Solution',))

def words(text):
    "Title, question, hints and reason of one cell of the page."
    folded = [(name, body.strip()) for name, body in FOLDED.findall(text)]
    if unknown := {name for name, _ in folded} - {n for names in WORDS.values() for n in names}:
        raise SystemExit(f'{PAGE.name}: a fold is called {sorted(unknown)}; call it '
                         'Hint, Another hint or Solution')
    question = FOLDED.sub('', TITLE.sub('', text)).strip()
    hints, why = ([body for name, body in folded if name in names] for names in WORDS.values())
    return dict(title=TITLE.match(text)[2].strip(), question=question, hints=hints,
                why=why[0] if why else '')

def code(path): return [source(c) for c in read(path)['cells'] if c['cell_type'] == 'code']

def module(cells):
    "The module of a notebook, or ''."
    found = re.search(r'^#\| default_exp (\w+)', '\n'.join(cells), re.M)
    return found[1] if found else ''

def solution(exercise):
    "Where the book solves it, with the source; a prediction is its own."
    home, _, name = exercise.home.partition('#')
    cells = code(nbs/f'{home}.ipynb') if home else []
    try: return dict(source=piece(cells, name) if name else '', module=module(cells))
    except WorkbookError as e: raise SystemExit(f'exercise {exercise.name}: {home}: {e}') from None

def names_of(code):
    "What a piece of code imports or assigns."
    nodes = [*ast.walk(ast.parse(code))]
    names = {(a.asname or a.name).split('.')[0] for n in nodes
             if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    return names | {n.id for n in nodes if isinstance(n, ast.Name) and type(n.ctx) is ast.Store}

def needs(exercise, text):
    "Lines that import what the solution uses and the chapter's set-up does not bring."
    setup = CHAPTERS[exercise.name.split('.')[0]].setup
    called = [name_of(solution(EXERCISES[u])['source']) for u in exercise.uses]
    lost = foreign(text['source'], names_of(setup) | {*called}) if text['source'] else []
    home = import_module(f"mlfound.{text['module']}") if lost else None
    homes = {n: getattr(getattr(home, n), '__module__', home.__name__) for n in lost}
    return [f'from {where} import {n}' for n, where in homes.items()]

def complete(exercise, words):
    "An exercise with its words, its solution, and what that needs."
    text = solution(exercise)
    return words | text | dict(needs=needs(exercise, text))

def pack():
    "Everything, by the exercise's name."
    texts = [source(c) for c in read(PAGE)['cells'] if c['cell_type'] == 'markdown']
    found = {TITLE.match(t)[1]: words(t) for t in texts if TITLE.match(t)}
    if lost := {*EXERCISES} ^ {*found}:
        raise SystemExit(f'{PAGE.name}: {sorted(lost)} have words and no script, or the reverse')
    return {name: complete(e, found[name]) for name, e in EXERCISES.items()}

POINTER = re.compile(r'^\[The workbook\]\((73_Exercises\.ipynb#exercises-of-chapter-(\d\d)-\w+)\) '
                     r'has \d+ exercises.*$', re.M)

def pointer(found):
    "The line in which a chapter names its exercises."
    names = sorted((n for n in EXERCISES if n.split('.')[0] == found[2]),
                   key=lambda n: int(n.split('.')[1]))
    first,last = (f"**{n}** {packed()['exercises'][n]['title']}" for n in (names[0], names[-1]))
    return (f'[The workbook]({found[1]}) has {len(names)} exercises, from {first} to {last}, '
            'with hints, solutions, and a judge that names mistakes (`mlfound workbook`).')

def pointed(path):
    "A notebook as a text, with the exercises that there are now."
    nb, count = read(path), 0
    for cell in nb['cells']:
        if cell['cell_type'] != 'markdown': continue
        text, more = POINTER.subn(pointer, source(cell))
        cell['source'], count = text.splitlines(True), count+more
    if count != 1: raise SystemExit(f'{path.name}: {count} lines say what the workbook asks')
    return text_of(nb)

def pages():
    "Chapter by chapter, what the notebook should say; the workbook's own page says it at length."
    paths = [nbs/f'{c.file}.ipynb' for n, c in sorted(CHAPTERS.items()) if n != '19']
    return {path: pointed(path) for path in paths}

def everything():
    "The exercises, and the blank notebooks that are made of them."
    packed()['exercises'] = pack() # in memory: the notebooks are made of this, not of the file
    return dict(exercises=packed()['exercises'],
                notebooks={c.file: notebook(n) for n, c in sorted(CHAPTERS.items())})

def main():
    wanted = {FILE: json.dumps(everything(), indent=1, ensure_ascii=False) + '\n'} | pages()
    stale = [path for path, text in wanted.items() if path.read_text(encoding='utf-8') != text]
    if '--check' in sys.argv and stale:
        names = ', '.join(str(path.relative_to(root)) for path in stale)
        raise SystemExit(f'{names}: not what the page of exercises says; '
                         'run: python docs/workbook.py')
    for path in stale: path.write_text(wanted[path], encoding='utf-8', newline='\n')

if __name__ == '__main__': main()
