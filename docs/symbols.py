"Names in backticks become links to what the library calls so, at the anchors that nbdev gives."
import ast
import builtins
import importlib
import importlib.util
import inspect
import re
import sys
from functools import cache
from pathlib import Path

import torch
from docutils import nodes
from sphinx import addnodes

from book import blob, cells, cfg, chapters, directives, docname, module_of, root, source

project = cfg['lib_name']
order = {docname(p): k for k, p in enumerate(chapters())}
modules = {module_of(p): docname(p) for p in chapters() if module_of(p)}

def indexed():
    "nbdev's index: for each module, the full names of its symbols."
    spec = importlib.util.spec_from_file_location('_modidx', root/project/'_modidx.py')
    spec.loader.exec_module(found := importlib.util.module_from_spec(spec))
    return found.d['syms']

@cache
def index():
    "Each symbol's module and full name, by what a text may call it."
    names = {}
    for module, symbols in indexed().items():
        for full in symbols:
            short = full.removeprefix(module + '.')
            for name in {short, full, full.removeprefix(project + '.')}:
                names.setdefault(name, {})[module] = full
    taken = set(names)
    for module, symbols in indexed().items(): # a method by its last name, where no function has it
        for full in symbols:
            name = full.rpartition('.')[2]
            method = full.count('.') == module.count('.') + 2
            if method and name not in taken and not name.startswith('_'):
                names.setdefault(name, {}).setdefault(module, full)
    return names

@cache
def own_names(page):
    "What a page's code gives a name to by itself: `train` may be a part of the data there."
    path = next((p for p in chapters() if docname(p) == page), None)
    names = set()
    for cell in cells(path) if path else []:
        found, code = directives(source(cell))
        if cell['cell_type'] != 'code' or found & {'export', 'exports', 'exporti'}: continue
        code = '\n'.join(l for l in code.split('\n') if not l.startswith(('%', '!')))
        names |= {n.id for n in ast.walk(ast.parse(code))
                  if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names

def elsewhere(name):
    "Does Python or PyTorch have something of this name, too?"
    return any(hasattr(o, name) for o in (builtins, torch, torch.Tensor))

def meant(text, page):
    "The full name of the symbol that `text` in backticks means on this page, or None."
    called = re.fullmatch(r'([A-Za-z_][\w.]*)(\(.*\))?', text)
    if not called or called[1] in own_names(page): return None
    found = {m: full for m, full in index().get(called[1], {}).items() if m in modules}
    if not found: return None
    here = order.get(page, len(order))
    place = {m: order[modules[m]] for m in found}
    nearest = min(found, key=lambda m: (place[m] > here, abs(place[m] - here)))
    if elsewhere(called[1]) and place[nearest] > here and page in order: return None
    return found[nearest]

TAKEN = nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature

def inside(node, kinds):
    "Does the node stand inside of one of these?"
    while node := node.parent:
        if isinstance(node, kinds): return True
    return False

def link_symbols(app, doctree):
    "Backticked symbols become references; references that nothing documents stay as they are."
    page = app.env.docname
    for node in list(doctree.findall(nodes.literal)):
        if inside(node, TAKEN) or node['classes'] not in ([], ['code']): continue
        if target := meant(node.astext(), page):
            ref = addnodes.pending_xref('', refdomain='py', reftype='obj', reftarget=target,
                                        refexplicit=True, refdoc=page, refwarn=False)
            node.replace_self(ref)
            ref += node

def keep_anchors(app, doctree):
    "A symbol keeps nbdev's anchor beside that of Sphinx: `lin` beside `mlfound.forward.lin`."
    for node in doctree.findall(addnodes.desc_signature):
        if node.get('fullname') and (name := node['fullname'].lower()) not in doctree.ids:
            node['ids'].append(name)
            doctree.ids[name] = node

def source_of(domain, info):
    "Where on GitHub an object's source stands."
    obj = sys.modules.get(info['module']) or importlib.import_module(info['module'])
    for part in info['fullname'].split('.'): obj = getattr(obj, part)
    obj = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)
    try:
        lines, first = inspect.getsourcelines(obj)
    except TypeError:
        return f"{blob}{info['module'].replace('.', '/')}.py" # a constant
    file = Path(inspect.getsourcefile(obj)).resolve()
    if not file.is_relative_to(root): return None
    return f'{blob}{file.relative_to(root).as_posix()}#L{first}-L{first+len(lines)-1}'
