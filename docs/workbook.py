"""Write mlfound/assets/workbook.json from the book: of every exercise its words, from the page of
exercises, and its solution, from the chapter that it points to. `--check` only says whether the
file is up to date."""
import ast
import json
import re
import sys
from importlib import import_module

from book import nbs, read, root, source

sys.path.insert(0, str(root))
from mlfound.exercises import CHAPTERS, EXERCISES # noqa: E402 (the library beside this file)
from mlfound.judge import packed # noqa: E402
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
    return [f'from {getattr(home, n).__module__} import {n}' for n in lost]

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

def everything():
    "The exercises, and the blank notebooks that are made of them."
    packed()['exercises'] = pack() # in memory: the notebooks are made of this, not of the file
    return dict(exercises=packed()['exercises'],
                notebooks={c.file: notebook(n) for n, c in sorted(CHAPTERS.items())})

def main():
    text = json.dumps(everything(), indent=1, ensure_ascii=False) + '\n'
    if '--check' not in sys.argv: FILE.write_text(text, encoding='utf-8', newline='\n')
    elif FILE.read_text(encoding='utf-8') != text:
        raise SystemExit('mlfound/assets/workbook.json does not say what the notebooks say; '
                         'run: python docs/workbook.py')

if __name__ == '__main__': main()
