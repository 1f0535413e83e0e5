"Importing the library is cheap, and imports nothing that settings.ini does not name."
import ast, sys
import pytest
from packaging.requirements import Requirement
from conftest import modules, root, run, settings

heavy = 'matplotlib', 'sympy', 'tqdm', 'IPython', 'PIL'
imported_as = {'pillow': 'PIL'} # requirements whose module has another name

def test_imports_nothing_heavy(tmp_path):
    "What draws, derives or shows progress is loaded when it is first asked for."
    code = f"""
import importlib, sys, torch
before = set(sys.modules)
for m in {['mlfound'] + [f'mlfound.{m}' for m in modules()]}:
    importlib.import_module(m)
    loaded = {set(heavy)} & (set(sys.modules) - before)
    assert not loaded, f'import {{m}} loads {{loaded}}; import it inside the function that needs it'"""
    run(sys.executable, '-c', code, cwd=tmp_path)

@pytest.mark.parametrize('name', modules())
def test_imports_are_required(name):
    names = {Requirement(r).name for r in settings()['requirements'].split()}
    known = {imported_as.get(n, n) for n in names} | {'mlfound'} | sys.stdlib_module_names
    tree = ast.parse((root/'mlfound'/f'{name}.py').read_text(encoding='utf-8'))
    used = {a.name for o in ast.walk(tree) if isinstance(o, ast.Import) for a in o.names}
    used |= {o.module for o in ast.walk(tree) if isinstance(o, ast.ImportFrom) and o.level == 0}
    unknown = {u for u in used if u.split('.')[0] not in known}
    assert not unknown, f'mlfound.{name} imports {sorted(unknown)}; add it to the requirements in settings.ini'

def test_constraints_lie_in_the_ranges():
    pins = dict(l.split('==') for l in (root/'constraints.txt').read_text(encoding='utf-8').split('\n') if '==' in l and l[0] != '#')
    for r in map(Requirement, f"{settings()['requirements']} {settings()['dev_requirements']}".split()):
        assert pins.get(r.name) in r.specifier, f'constraints.txt: {r.name}=={pins.get(r.name)}, settings.ini: {r}; make them agree'
