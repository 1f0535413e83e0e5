"The house stands as it was drawn: modules in order, of one concern each, in lines that fit a page."
import ast, importlib, io, json, re, subprocess, sys, tokenize
import pytest
from book import chapters, docname # docs/ is on the path
from conftest import modules, root
from longer import LONGER
from mlfound.catalogue import find

# A module imports only modules that stand before it here.
order = '''plugin checks terminal sources bundle saved files data forward slopes blocks backward
           tiny records module signatures guards autograd derivatives layout figure curves replay
           drawing scores optimizers forms training pointwise shapes losses ops ways fit scale conv
           convlayers convnet attention attentionlayers blockwise transformerplan transformer
           arguments trace spelling order passes compiler ink pictures report transformernet
           addition sampling traps costs catalogue verify mutants subject nudges suspects findings
           exam variations corners conduct rewritten sandbox doctor prompt playground pieces slips
           fits judge exercises workbook desk jobs cli'''.split()
# Pure tables may be longer than what is read from top to bottom. That of the exercises is the page
# on which all of them stand, an entry under each question, and nobody looks for one in two places.
tables = ['catalogue','exercises']
longest_module = 450
columns, docment_columns = 100, 120
most_parameters = 6 # of a private function
longest_body, never_longer = 15, 25 # lines of a function, without signature, docstring, comments
# Functions of more than 15 lines, and why they stay whole.
told_in_order = 'one protocol, told in its order: a piece of it has no meaning alone'
one_trial = 'one trial: what is run, what is compared, what is said of it'
cases_apart = 'one case after another, each a line or two'
long_for_a_reason = {
    'autograd.op': told_in_order, 'autograd.sweep': told_in_order,
    'checks.check_classes': cases_apart,
    'compiler.compare': one_trial, 'conduct.batch': one_trial, 'conduct.interleaved': one_trial,
    'conduct.kept_alive': one_trial, 'conduct.repeated': one_trial, 'conduct.silently': one_trial,
    'conduct.subsets': one_trial, 'conduct.under_autocast': one_trial,
    'conduct.untouched': one_trial, 'convnet.as_modules': told_in_order,
    'convnet.check_plan': cases_apart, 'convnet.conv_gradients': told_in_order,
    'drawing.backward_log': told_in_order, 'files._record': cases_apart,
    'fit._check_split': cases_apart, 'fit._train': told_in_order, 'fit.resume': told_in_order,
    'forms.check_params': cases_apart, 'mutants._arithmetic_mistakes': cases_apart,
    'mutants._shape_mistakes': cases_apart, 'mutants.mutants': told_in_order,
    'playground.find_model': cases_apart,
    'records.which_call': cases_apart, 'saved.write_whole': told_in_order,
    'scale._place': cases_apart, 'scale.data_parallel': told_in_order,
    'variations.in_this_dtype': one_trial, 'verify._layer': told_in_order,
}

longest_cell = 15 # lines of an exported cell, without imports, signatures, docstrings and comments
# Exported cells with more of them, by notebook and the cell's id, and why they stay whole; those of
# a function that is named above, and those of the catalogue, which is a table, need not be named.
one_exercise = 'the script of one exercise, told under its question and shipped as one'
one_class = 'one class: what its methods share stands above them'
one_table = 'a table, a line or two an entry'
with_its_helper = 'one function, and what it alone uses'
cells_for_a_reason = {
    '00_Data as_images': with_its_helper,
    '17_Drawing Picture': one_class, '20_Command_line commands': one_table,
    '28_Guards Guarded-class': one_class, '40_Trace Listing': one_class,
    '41_Spelling Text': one_class, '49_ConvNet ConvNet': one_class, '54_Exam Exam': one_class,
    '54_Exam fits_numbers_all': with_its_helper, '55_Variations empty': with_its_helper,
    '55_Variations resolved': with_its_helper, '62_Transformer Transformer': one_class,
    '62_Transformer TorchReader': one_class,
    '73_Exercises try-04-1': one_exercise, '73_Exercises try-04-2': one_exercise,
    '73_Exercises try-05-7': one_exercise, '73_Exercises try-05-8': one_exercise,
    '73_Exercises setup-19': one_exercise,
    '75_Slips WORDS': one_table}

notebooks = sorted((root/'nbs').glob('*.ipynb'))
scripts = sorted(p for d in ('tests', 'benchmarks', 'docs') for p in (root/d).glob('*.py'))
docment = re.compile(r'^\s*(def .*\(|\)\s*->|[*\w]).*\s# ') # an argument, with what it is
directive = re.compile(r'#\|') # `#| fig-alt: …` is one line, whatever it has to say

def source(module): return (root/'mlfound'/f'{module}.py').read_text(encoding='utf-8')

def imports(tree):
    "`(module, name)` for whatever `tree` takes from the library, wherever in the file that is."
    for o in ast.walk(tree):
        if isinstance(o, ast.Import):
            for a in o.names:
                if a.name.startswith('mlfound.'): yield a.name.split('.')[1], None
        elif isinstance(o, ast.ImportFrom):
            path = (o.module or '').split('.')
            if o.level == 0 and path[0] != 'mlfound': continue
            module = path[o.level == 0] if len(path) > (o.level == 0) else ''
            for a in o.names: yield (module, a.name) if module else (a.name, None)

def test_every_module_has_its_place():
    missing = set(modules()) - set(order)
    assert not missing, f'{sorted(missing)}: give each its place in the order of imports, above'

@pytest.mark.parametrize('name', modules())
def test_imports_only_earlier_modules(name):
    late = order[order.index(name):]
    later = {m for m, _ in imports(ast.parse(source(name))) if m in late}
    assert not later, f'mlfound.{name} imports {sorted(later)}, which come later, or itself'

def cells(path):
    "The sources of a notebook's code cells."
    nb = json.loads(path.read_text(encoding='utf-8'))
    return [''.join(c['source']) for c in nb['cells'] if c['cell_type'] == 'code']

def texts(path):
    "What Python reads of a notebook or a script."
    if path.suffix != '.ipynb': return [path.read_text(encoding='utf-8')]
    return ['\n'.join(l for l in c.splitlines() if l[:1] not in ('%', '!')) for c in cells(path)]

def reached(tree):
    "`(module, name)` for what is reached through a module, in code or in the text of a patch."
    homes = {a.asname or a.name: a.name for o in ast.walk(tree)
             if isinstance(o, ast.ImportFrom) and o.module == 'mlfound' for a in o.names}
    homes |= {f'mlfound.{m}': m for m in modules()}
    for o in ast.walk(tree):
        if isinstance(o, ast.Attribute) and (home := homes.get(ast.unparse(o.value))):
            yield home, o.attr
        text = o.value if isinstance(o, ast.Constant) and isinstance(o.value, str) else ''
        if m := re.fullmatch(r'mlfound\.(\w+)\.(\w+)', text): yield m.groups()

@pytest.mark.parametrize('path', [*scripts, *notebooks], ids=lambda p: p.name)
def test_no_private_name_crosses_a_module(path):
    taken = [(m, n) for t in texts(path) for m, n in imports(ast.parse(t)) if n]
    taken += [t for text in texts(path) for t in reached(ast.parse(text))]
    private = {f'{m}.{n}' for m, n in taken if n.startswith('_') and not n.startswith('__')}
    assert not private, f'{path.name} takes {sorted(private)}; make it public, or do without'

@pytest.mark.parametrize('name', modules())
def test_no_comment_is_taken_for_a_parameter_s(name):
    "A reference takes what follows a signature for words on its last parameter, a body and all."
    text = (root/f'mlfound/{name}.py').read_text(encoding='utf-8')
    public = getattr(importlib.import_module(f'mlfound.{name}'), '__all__', [])
    defs = [n for n in ast.parse(text).body if getattr(n, 'name', '') in public]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    ends = {t.start[0] for t in tokens if t.type == tokenize.COMMENT}
    odd = [d.name for d in defs if d.body[0].lineno == d.lineno and d.lineno in ends]
    assert not odd, f'{name}: a comment of its own line, or a docstring, for {odd}'

@pytest.mark.parametrize('name', modules())
def test_module_is_of_a_readable_length(name):
    if name in tables: return
    lines = len(source(name).splitlines()) # all of them: what a reader scrolls past
    assert lines <= longest_module, (f'mlfound.{name} has {lines} lines; {longest_module} are read '
                                     'in one sitting: split it by idea')

def too_long(text, where):
    for n, line in enumerate(text.splitlines(), 1):
        if directive.match(line): continue
        if len(line) > (docment_columns if docment.match(line) else columns):
            yield f'{where}:{n} ({len(line)})  {line.strip()[:60]}'

@pytest.mark.parametrize('path', [*scripts, *notebooks], ids=lambda p: p.name)
def test_lines_fit_the_page(path):
    pieces = [path.read_text(encoding='utf-8')] if path.suffix == '.py' else cells(path)
    wide = [w for k, text in enumerate(pieces) for w in too_long(text, f'{path.name}, {k}')]
    listed = '\n'.join(wide)
    assert not wide, f'{len(wide)} lines of {path.name} are wider than a page:\n{listed}'

def nested(tree):
    "The conditional expressions in which there is another."
    choices = [o for o in ast.walk(tree) if isinstance(o, ast.IfExp)]
    return [ast.unparse(o)[:60] for o in choices
            if any(isinstance(part, ast.IfExp) for part in (o.test, o.body, o.orelse))]

@pytest.mark.parametrize('path', [*scripts, *notebooks], ids=lambda p: p.name)
def test_no_choice_inside_a_choice(path):
    found = [text for t in texts(path) for text in nested(ast.parse(t))]
    assert not found, f'{path.name}: {found}; give the inner one a name, or a line'

@pytest.mark.parametrize('name', modules())
def test_private_functions_take_few_arguments(name):
    def count(f): return len(f.args.posonlyargs + f.args.args + f.args.kwonlyargs)
    functions = [f for f in ast.walk(ast.parse(source(name))) if isinstance(f, ast.FunctionDef)]
    private = [f for f in functions if f.name.startswith('_') and not f.name.startswith('__')]
    many = [f.name for f in private if count(f) > most_parameters]
    assert not many, (f'mlfound.{name}: {many} take more than {most_parameters} arguments; '
                      'some of them belong together')

def length(f, lines):
    "Lines of a function's body that hold code."
    said = isinstance(f.body[0], ast.Expr) and isinstance(f.body[0].value, ast.Constant)
    body = f.body[said:] or f.body
    inside = (l.strip() for l in lines[body[0].lineno-1:f.end_lineno])
    return sum(bool(l) and not l.startswith('#') for l in inside)

def long_functions(name):
    text = source(name)
    functions = [f for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef)]
    lengths = {f'{name}.{f.name}': length(f, text.splitlines()) for f in functions}
    return {f: n for f, n in lengths.items() if n > longest_body}

@pytest.mark.parametrize('name', modules())
def test_functions_are_short_or_say_why_not(name):
    found = long_functions(name)
    assert all(n <= never_longer for n in found.values()), f'{found}: split them by idea'
    unexplained = found.keys() - long_for_a_reason.keys()
    assert not unexplained, f'{sorted(unexplained)}: split by idea, or say above why not'
    known = {f for f in long_for_a_reason if f.startswith(f'{name}.')}
    assert known <= found.keys(), f'{sorted(known - found.keys())} are short now: strike them above'

def code_lines(text):
    "Lines of code, without imports, signatures with decorators, docstrings and comments."
    tree, other = ast.parse(text), set()
    for o in ast.walk(tree):
        first = o.body[0] if isinstance(o, (ast.FunctionDef, ast.ClassDef)) else None
        for d in getattr(o, 'decorator_list', []): other |= {*range(d.lineno, d.end_lineno+1)}
        if isinstance(o, (ast.Import, ast.ImportFrom)): other |= {*range(o.lineno, o.end_lineno+1)}
        if first: other |= {*range(o.lineno, first.lineno)}
        if first and isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            other |= {*range(first.lineno, first.end_lineno+1)}
    lines = {n: l.strip() for n, l in enumerate(text.splitlines(), 1) if n not in other}
    return sum(bool(l) and not l.startswith('#') for l in lines.values())

def exported(path):
    "The exported cells of a notebook: id → source."
    nb = json.loads(path.read_text(encoding='utf-8'))
    sources = {c['id']: ''.join(c['source']) for c in nb['cells'] if c['cell_type'] == 'code'}
    return {i: text for i, text in sources.items() if re.search(r'^#\|\s*export', text, re.M)}

long_named = {f.split('.')[1] for f in long_for_a_reason}

def functions(text):
    "The names of the functions in a cell."
    return {o.name for o in ast.walk(ast.parse(text)) if isinstance(o, ast.FunctionDef)}

@pytest.mark.parametrize('path', notebooks, ids=lambda p: p.name)
def test_exported_cells_hold_one_idea(path):
    if path.stem == '22_Catalogue': return
    texts = {f'{path.stem} {i}': text for i, text in exported(path).items()}
    found = {cell for cell, text in texts.items() if code_lines(text) > longest_cell}
    explained = {cell for cell in found if long_named & functions(texts[cell])}
    unexplained = found - explained - cells_for_a_reason.keys()
    assert not unexplained, (f'{sorted(unexplained)} have more than {longest_cell} lines: split '
                             'them by idea, with a sentence before each, or say above why not')
    known = {cell for cell in cells_for_a_reason if cell.startswith(f'{path.stem} ')}
    assert known <= found, f'{sorted(known - found)} are short now: strike them above'

@pytest.mark.parametrize('path', notebooks, ids=lambda p: p.name)
def test_no_cell_shows_what_only_python_reads(path):
    "As `<function f>`, where a last line gives something that nobody wants to see."
    nb = json.loads(path.read_text(encoding='utf-8'))
    shown = {c['id']: ''.join(o.get('data', {}).get('text/plain', '')) for c in nb['cells']
             for o in c.get('outputs', [])}
    bare = r'<(function|class|module|Axes|bound)|__main__'
    odd = [f'{c}: {t}' for c, t in shown.items() if re.match(bare, t)]
    assert not odd, f'{path.name}: give the last line a name: {odd}'

@pytest.mark.parametrize('path', notebooks, ids=lambda p: p.name)
def test_no_cell_shows_a_warning(path):
    "Of PyTorch's, say, in red, with the name of a file that no reader has."
    nb = json.loads(path.read_text(encoding='utf-8'))
    said = {c['id']: ''.join(o.get('text', '')) for c in nb['cells'] for o in c.get('outputs', [])
            if o.get('name') == 'stderr'}
    assert not [i for i, text in said.items() if 'Warning:' in text]
    again = {i: l for i, text in said.items() for l in text.splitlines()
             if text.splitlines().count(l) > 1}
    assert not again, f'{path.name}: say this once: {again}'

READ_ON = re.compile(r'(\*\*(Next:|Here the path ends\.)\*\*|## Next\n\n)'
                     r'[^\n]*\]\(\d\d_\w+\.ipynb[^\n]*$') # to the end of the text

@pytest.mark.parametrize('path', chapters(), ids=lambda p: p.name)
def test_a_chapter_says_where_to_read_on(path):
    last = json.loads(path.read_text(encoding='utf-8'))['cells'][-1]
    assert READ_ON.search(''.join(last['source']).rstrip()), ('its last line is **Next:** and a '
                                                              'link to a chapter')

def test_ruff_agrees():
    command = [sys.executable, '-m', 'ruff', 'check', '--output-format', 'concise', '.']
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    assert not done.returncode, done.stdout + done.stderr

def test_a_rule_is_where_it_is_said_to_be():
    "What CONTRIBUTING.md tells a newcomer of `tanh` is so."
    said = (root/'CONTRIBUTING.md').read_text(encoding='utf-8')
    (row,) = find('tanh')
    module = row.path.split('.')[0]
    before = source(module)[:re.search(r'^tanh ', source(module), re.M).start()]
    *_, cell = re.findall(r'^# %% \S+ \S+', before, re.M)
    notebook = re.search(r'\w+\.ipynb', cell)[0]
    page = f"{docname(root/'nbs'/notebook)}.html"
    told = f'`{row.path}`', f'grep -n "tanh" mlfound/{module}.py', f'`{cell}`', f'`{page}`'
    assert not [text for text in told if text not in said]
    catalogue = (root/'nbs/22_Catalogue.ipynb').read_text(encoding='utf-8')
    assert f"'{row.path}'" in catalogue

ELSEWHERE = {'MLFOUND_SITE', 'MLFOUND_BROWSER', 'MLFOUND_STRICT', 'MLFOUND_CHROMIUM'} # no samples
def test_the_longer_run_takes_all():
    "Each switch that a test reads is set by `tests/run.py --all`, and CONTRIBUTING.md explains it."
    texts = [p.read_text(encoding='utf-8') for p in (root/'tests').glob('*.py')]
    asked = {name for text in texts for name in re.findall(r"environ[^\n]*?'(MLFOUND_\w+)'", text)}
    assert asked - ELSEWHERE == {*LONGER} and len(LONGER) > 5
    said = (root/'CONTRIBUTING.md').read_text(encoding='utf-8')
    assert not [name for name, value in LONGER.items() if f'| `{name}=' not in said]
