"Importing the library is cheap, and imports nothing that settings.ini does not name."

import ast
import sys

import pytest
from packaging.requirements import Requirement
from conftest import modules, root, run, settings

heavy = 'matplotlib', 'sympy', 'tqdm', 'IPython', 'PIL'
imported_as = {'pillow': 'PIL'}  # requirements whose module has another name


def test_imports_nothing_heavy(tmp_path):
    "What draws, derives or shows progress is loaded when it is first asked for."
    code = f"""
import importlib, sys, torch
before = set(sys.modules)
for m in {['mlfound'] + [f'mlfound.{m}' for m in modules()]}:
    importlib.import_module(m)
    loaded = {set(heavy)} & (set(sys.modules) - before)
    assert not loaded, f'import {{m}} loads {{loaded}}; import it in the function that needs it'"""
    run(sys.executable, '-c', code, cwd=tmp_path)


def test_names_from_the_top(tmp_path):
    "Importing the package loads nothing; names and modules are loaded when they are asked for."
    code = """
import sys, mlfound
assert 'torch' not in sys.modules, 'import mlfound loads torch'
names = [(m, n) for m, ns in mlfound.names.items() for n in ns.split()]
for module, name in names:
    assert name in dir(mlfound)
    assert getattr(mlfound, name) is getattr(getattr(mlfound, module), name), name
print(len({n for _, n in names}) == len(names), callable(mlfound.fit), hasattr(mlfound, 'Vars'))"""
    assert run(sys.executable, '-c', code, cwd=tmp_path).split() == ['True', 'True', 'False']


@pytest.mark.parametrize('name', modules())
def test_imports_are_required(name):
    names = {Requirement(r).name for r in settings()['requirements'].split()}
    known = {imported_as.get(n, n) for n in names} | {'mlfound'} | sys.stdlib_module_names
    tree = ast.parse((root / 'mlfound' / f'{name}.py').read_text(encoding='utf-8'))
    used = {a.name for o in ast.walk(tree) if isinstance(o, ast.Import) for a in o.names}
    used |= {o.module for o in ast.walk(tree) if isinstance(o, ast.ImportFrom) and not o.level}
    unknown = {u for u in used if u.split('.')[0] not in known}
    assert not unknown, (
        f'mlfound.{name} imports {sorted(unknown)}; add it to the requirements in settings.ini'
    )


def test_constraints_lie_in_the_ranges():
    lines = (root / 'constraints.txt').read_text(encoding='utf-8').splitlines()
    pins = dict(line.split('==') for line in lines if '==' in line and line[0] != '#')
    for r in map(
        Requirement, f"{settings()['requirements']} {settings()['dev_requirements']}".split()
    ):
        pin = f'{r.name}=={pins.get(r.name)}'
        assert pins.get(r.name) in r.specifier, (
            f'constraints.txt: {pin}, settings.ini: {r}; make them agree'
        )
