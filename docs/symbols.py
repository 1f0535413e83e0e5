"Names in backticks become links to what the library calls so, at the anchors that nbdev gives."
import ast
import builtins
import importlib
import importlib.util
import inspect
import keyword
import re
import sys
from functools import cache
from pathlib import Path

import torch
from docutils import nodes
from sphinx import addnodes

from book import blob, cells, cfg, chapters, directives, docname, module_of, root, source

project = cfg['lib_name']
# Where `mm` is a kernel of torch's, `grad` torch.func's, and `size` an argument to be written.
OTHERS = 'compiler', 'costs', 'exercises', 'order', 'passes', 'rewritten', 'spelling', 'trace'
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
    return names

@cache
def methods():
    "The full names of the methods that a text may call by their last name."
    names = {}
    for module, symbols in indexed().items():
        for full in symbols:
            name = full.rpartition('.')[2]
            if full.count('.') == module.count('.') + 2 and not name.startswith('_'):
                names.setdefault(name, []).append(full)
    return names

@cache
def public(module):
    "The names that a module offers."
    tree = ast.parse((root/project/f"{module.removeprefix(project + '.')}.py").read_text('utf-8'))
    return {name for n in tree.body
            if isinstance(n, ast.Assign) and getattr(n.targets[0], 'id', '') == '__all__'
            for name in ast.literal_eval(n.value)}

@cache
def code_of(page):
    "Each cell of code of a page: is it exported, and its syntax tree."
    path = next((p for p in chapters() if docname(p) == page), None)
    found = []
    for cell in cells(path) if path else []:
        if cell['cell_type'] != 'code': continue
        how, code = directives(source(cell))
        code = '\n'.join(l for l in code.split('\n') if not l.startswith(('%', '!')))
        found.append((bool(how & {'export', 'exports', 'exporti'}), ast.parse(code)))
    return found

@cache
def own_names(page):
    "What a page's code gives a name to by itself: `train` may be a part of the data there."
    nodes = [n for exported, tree in code_of(page) if not exported for n in ast.walk(tree)]
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    made = [n for exported, tree in code_of(page) if not exported for n in tree.body]
    return stored | {n.name for n in made if isinstance(n, (ast.FunctionDef, ast.ClassDef))}

@cache
def arguments(page):
    "What the functions of a page call their arguments, and its classes their fields."
    nodes = [n for _, tree in code_of(page) for n in ast.walk(tree)]
    fields = {getattr(n.target, 'id', '') for n in nodes if isinstance(n, ast.AnnAssign)}
    return fields | {n.arg for n in nodes if isinstance(n, ast.arg)}

@cache
def attributes(page):
    "What the objects of a page call their parts: `mean` may be a running average there."
    nodes = [n for _, tree in code_of(page) for n in ast.walk(tree)]
    called = {id(n.func) for n in nodes if isinstance(n, ast.Call)}
    parts = [n for n in nodes if isinstance(n, ast.Attribute) and id(n) not in called]
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    objects = stored | arguments(page)
    return {n.attr for n in parts if isinstance(n.ctx, ast.Store)
            or getattr(n.value, 'id', '') in objects}

@cache
def imports(page):
    "The module that each name comes from which a page's code imports from the library."
    return {a.asname or a.name: n.module for _, tree in code_of(page) for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom) and n.module in modules for a in n.names}

NAMESAKES = builtins, torch, torch.Tensor, torch.nn.Module, torch.nn.functional, torch.func

def elsewhere(name):
    "Does Python or PyTorch have something of this name, too?"
    return any(hasattr(o, name) for o in NAMESAKES)

def method(name, page):
    "A method by its last name: where one class has it, of all or of those of this page."
    found = methods().get(name, [])
    here = [full for full in found if modules.get(full.rsplit('.', 2)[0]) == page]
    one = here or found
    if len(one) != 1 or (module := one[0].rsplit('.', 2)[0]) not in modules: return None
    taken = elsewhere(name) or name in arguments(page) | attributes(page)
    return one[0] if here or module in imports(page).values() and not taken else None

def of_page(name, found, page):
    "What a page itself defines, imports, or has as a method; an argument or a part is no symbol."
    for module, full in found.items():
        if modules[module] == page or imports(page).get(name) == module: return full
    one = method(name, page)
    return one if one and modules[one.rsplit('.', 2)[0]] == page else None

def nearer(found, page):
    "Of namesakes, those of modules that the page takes something from, if there are any."
    near = {m: full for m, full in found.items() if m in imports(page).values()}
    return near or found

def meant(text, page):
    "The full name of the symbol that `text` in backticks means on this page, or None."
    called = re.fullmatch(r'([A-Za-z_][\w.]*)(\(.*\))?', text)
    if not called or called[1] in own_names(page): return None
    name = called[1]
    found = {m: full for m, full in index().get(name, {}).items() if m in modules}
    if not found: return method(name, page)
    if own := of_page(name, found, page): return own
    if keyword.issoftkeyword(name) or name in arguments(page) | attributes(page): return None
    if page in OTHERS and elsewhere(name): return None
    found = nearer(found, page)
    found = {m: f for m, f in found.items() if '.' in name or name in public(m)}
    if not found: return None
    here = order.get(page, len(order))
    place = {m: order[modules[m]] for m in found}
    nearest = min(found, key=lambda m: (place[m] > here, abs(place[m] - here)))
    known = nearest in imports(page).values() or page not in order
    if elsewhere(name) and place[nearest] > here and not known: return None
    return found[nearest]

TAKEN = nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature

def inside(node, kinds):
    "Does the node stand inside of one of these?"
    while node := node.parent:
        if isinstance(node, kinds): return True
    return False

def chapter_of(node):
    "The chapter that the row of a table is about, if its first cell begins with a link to one."
    while node and not isinstance(node, nodes.row): node = node.parent
    for ref in node[0].findall(lambda n: isinstance(n, TAKEN[:2])) if node else []:
        page = re.sub(r'\.(html|ipynb)$', '', ref.get('refuri') or ref.get('reftarget') or '')
        return page if page in order else None

def quoted(node, page):
    "The chapter that an entry of the list of words, or of the list of symbols, comes from."
    while node and not isinstance(node, (nodes.row, nodes.list_item)): node = node.parent
    if not node: return page
    first = next(node.findall(nodes.raw if page == 'words' else addnodes.pending_xref), None)
    if page == 'words': return re.search(r'href="(\w+)', first.astext())[1] if first else page
    return modules.get('.'.join(first['reftarget'].split('.')[:2]), page) if first else page

def named(node, page):
    "The full name of the symbol that a name in backticks means where it stands, or None."
    text = node.astext()
    if page in ('words', 'api'): return meant(text, quoted(node, page))
    about = chapter_of(node)
    return about and meant(text, about) or meant(text, page)

def link_symbols(app, doctree):
    "Backticked symbols become references; references that nothing documents stay as they are."
    page = app.env.docname
    for node in list(doctree.findall(nodes.literal)):
        if inside(node, TAKEN) or node['classes'] not in ([], ['code']): continue
        if target := named(node, page):
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
