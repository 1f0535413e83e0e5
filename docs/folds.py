"""What of a notebook is folded, on its page and in JupyterLab. No cell of code is left out.

    hide                             folded with its output, on the page and in JupyterLab
    code-fold: true, echo: false     the code is folded, its output in sight
    export                           a page has the reference, and folds the code; not imports
    exports, exporti, none of these  in sight

What follows a text that ends with a fold, as the code of a solution does, belongs in that fold.
What is folded under the title Exercises is a solution, and so is its output; what is hidden and
part of the library there, in the fold of a text, is the judge, with a fold of its own, as the line
has that prints what the book has.

    python docs/folds.py             tells JupyterLab so, in every notebook; `make outputs` does it
    python docs/folds.py --check     only says which notebooks do not
"""
import ast
import json
import re
import sys
from typing import NamedTuple

from book import directives, nbs, read, source

class Fold(NamedTuple):
    "What is folded of a cell, and what the fold is called."
    name: str          # what stands on the fold; '' where nothing is folded
    outputs:bool=False # are the outputs folded, too?

OPEN = Fold('')
SET_UP = 'Set-up: typing along? Run this, too'
JUDGE = Fold('The judge')
PRINTED = Fold('The line that prints this')
IMPORTS = ast.Import, ast.ImportFrom
DEFINITIONS = ast.FunctionDef, ast.ClassDef

def parsed(code):
    "The statements of a cell, without lines that only IPython reads."
    lines = ['pass' if l.startswith(('%', '!')) else l for l in code.split('\n')]
    return ast.parse('\n'.join(lines)).body

def imports(node):
    "Is this an import, or the attempt at one that not every platform has?"
    if isinstance(node, ast.Try): return all(isinstance(n, IMPORTS) for n in node.body)
    return isinstance(node, IMPORTS)

def only_imports(code): return all(map(imports, parsed(code)))

def tests(node):
    "Is this a statement or a call that may fail?"
    called = getattr(node, 'func', None)
    name = getattr(called, 'id', getattr(called, 'attr', ''))
    return isinstance(node, ast.Assert) or name.startswith(('test_', 'assert_', 'expected'))

def hidden(code):
    "What stands on the fold over code that is hidden: what it imports, tests, or defines."
    body = parsed(code)
    run = [n for n in body if not isinstance(n, DEFINITIONS)] # what a definition asserts, waits
    if any(tests(m) for n in run for m in ast.walk(n)): return 'More tests'
    return SET_UP if any(isinstance(n, IMPORTS) for n in body) else named(code)

def defined(statements):
    "The names of the functions and classes that these statements define."
    return [n.name for n in statements if isinstance(n, DEFINITIONS)]

def some(what, names):
    "What is shown, and of what: the first three names."
    if not names: return f'Show the {what}'
    return f'Show the {what} of ' + ', '.join(names[:3]) + (', …' if len(names) > 3 else '')

def named(code):
    "What stands on the fold over this code."
    return some('code', defined(parsed(code)))

def called_with(node):
    "The text that is a call's first argument; '' if it is no such call."
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return first.value if isinstance(getattr(first, 'value', None), str) else ''

def tabled(code):
    "As `named`, for the library's own tables: what rows are about, or what is assigned."
    body = parsed(code)
    more = [n for n in body if isinstance(n, ast.AugAssign)]
    if not more:
        found = [t.id for n in body if isinstance(n, ast.Assign) for t in ast.walk(n.targets[0])
                 if isinstance(t, ast.Name)]
        return some('code', defined(body) or found)
    rows = [called_with(n).split('.')[-1] for m in more for n in ast.walk(m) if called_with(n)]
    return some('rows', [*dict.fromkeys(rows)])

def fold(text):
    "How a cell of code is folded, by its directives."
    found, code = directives(text)
    if found & {'hide', 'include:false'}:
        return Fold(hidden(code), outputs=True)
    if found & {'code-fold:true', 'echo:false'}:
        return Fold(tabled(code) if 'exporti' in found else named(code))
    if 'export' in found and not only_imports(code): return Fold(named(code))
    return OPEN

def ends_in_fold(cell):
    "Does a text end with a fold, to which the code under it belongs?"
    return cell['cell_type'] == 'markdown' and source(cell).rstrip().endswith('</details>')

def nested(found):
    "The fold of such a cell in the fold of a solution."
    if {'hide', 'exporti'} <= found: return JUDGE
    return PRINTED if 'echo:false' in found else None

def folds(cs):
    "Each cell, its `Fold`, and whether it belongs in the fold that the text above it ends with."
    inside = exercises = False
    for cell in cs:
        text = source(cell)
        if cell['cell_type'] != 'code':
            inside = ends_in_fold(cell)
            if titles := re.findall(r'^## .*$', text, re.M): exercises = 'Exercises' in titles[-1]
            yield cell, OPEN, False
            continue
        how = fold(text)
        if exercises and how.name and not how.outputs: how = Fold('Solution', True)
        if exercises and inside: how = nested(directives(text)[0]) or how
        yield cell, how, inside

# JupyterLab ---------------------------------------------------------------------------------------

def jupyter(cell, how, inside):
    "The metadata by which JupyterLab folds this cell, or {} where it stays open."
    found, code = directives(source(cell))
    if not how.name and not inside: return {}
    if 'export' in found and not found & {'hide', 'code-fold:true'}: return {}
    outputs = dict(outputs_hidden=True) if (how.outputs or inside) and cell['outputs'] else {}
    return outputs | dict(source_hidden=True)

def set_metadata(nb):
    "Let JupyterLab fold in `nb` what the page folds."
    for cell, how, inside in folds(nb['cells']):
        if cell['cell_type'] != 'code': continue
        cell['metadata'].pop('jupyter', None)
        if hidden := jupyter(cell, how, inside): cell['metadata']['jupyter'] = hidden
    return nb

def text_of(nb): return json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + '\n'

def out_of_step():
    "The notebooks that JupyterLab would fold otherwise."
    return [p for p in sorted(nbs.glob('*.ipynb')) if read(p) != set_metadata(read(p))]

def main():
    paths = out_of_step()
    if '--check' in sys.argv and paths:
        names = ', '.join(p.name for p in paths)
        sys.exit(f'{names}: not folded as the page is; run: python docs/folds.py')
    for path in paths:
        path.write_text(text_of(set_metadata(read(path))), encoding='utf-8', newline='\n')

if __name__ == '__main__': main()
