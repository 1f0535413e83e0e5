"The reference of what a notebook defines, as Markdown that Sphinx turns into objects."
import ast
import importlib
import inspect
import re

def patched(node):
    "The class that fastcore's `@patch` gives a function to, or None."
    if not any('patch' in ast.unparse(d) for d in node.decorator_list): return None
    return ast.unparse(node.args.args[0].annotation)

def signature(node, is_method):
    "The arguments with their defaults; types and shapes stand in the list below."
    args = ast.parse(ast.unparse(node)).body[0].args
    starred = [a for a in (args.vararg, args.kwarg) if a]
    for a in [*args.posonlyargs, *args.args, *args.kwonlyargs, *starred]: a.annotation = None
    if is_method and args.args and 'staticmethod' not in map(ast.unparse, node.decorator_list):
        args.args.pop(0)
    return f'({ast.unparse(args)})'

def described(annotation, comment):
    "An annotation and the comment beside it, as texts."
    if annotation in (None, inspect.Parameter.empty, type(None)): return '', comment or ''
    kind = inspect.formatannotation(annotation).replace('torch.Tensor', 'Tensor')
    return re.sub(r'\b(mlfound\.\w+\.)', r'~\1', kind), comment or '' # two may share a name

def fields(obj):
    "A function's arguments and result, from the comments beside them."
    from fastcore.docments import docments
    lines = []
    for name, d in docments(obj, full=True, returns=True, args_kwargs=True).items():
        kind, comment = described(d.anno, d.docment)
        if name == 'self' or not (kind or comment): continue
        if name == 'return':
            if comment: lines.append(f':returns: {comment}')
            if kind: lines.append(f':rtype: {kind}')
        else:
            lines.append(f':param {name}: {comment}')
            if kind: lines.append(f':type {name}: {kind}')
    return lines

def comment_after(node, source):
    "The comment that follows a statement on its line."
    line = source.split('\n')[node.end_lineno-1]
    return line[node.end_col_offset:].partition('#')[2].strip()

def class_fields(node, source):
    "The fields of a named tuple, from the comments beside them."
    for n in node.body:
        if isinstance(n, ast.AnnAssign):
            yield f':param {n.target.id}: {comment_after(n, source)}'
            yield f':type {n.target.id}: {ast.unparse(n.annotation)}'

def summary(node, source):
    "The docstring; where there is none, what is returned."
    if text := ast.get_docstring(node): return text
    last = node.body[-1]
    if not isinstance(last, ast.Return) or len(node.body) > 1: return ''
    return f'Returns `{ast.get_source_segment(source, last.value)}`.'

def directive(kind, sig, module, body, level=6):
    fence = '`'*level
    return '\n'.join([f'{fence}{{py:{kind}}} {sig}', f':module: {module}', '', *body, fence, ''])

def raw(html): return ['```{raw} html', html, '```', '']

def folded(name, lines):
    "Lines of Markdown in a fold of this name."
    opening = raw(f'<details class="reference"><summary>{name}</summary>')
    return [*opening, *lines, '', *raw('</details>')]

def is_setter(node):
    "Is this the half of a property that sets or deletes it? The other half is documented."
    ends = tuple(ast.unparse(d).rpartition('.')[2] for d in node.decorator_list)
    return 'setter' in ends or 'deleter' in ends

class Objects:
    "What one notebook defines, read from its cells and from the module that they became."
    def __init__(self, module):
        self.module, self.list = module, [] # of (name, signature, sentence)
        self.py = importlib.import_module(module)
        self.public = set(self.py.__all__)

    def add(self, name, sig, text): self.list.append((name, sig, text.split('\n')[0]))

    def function(self, node, source, owner=None, level=6):
        holder = getattr(self.py, owner) if owner else self.py
        obj = getattr(holder, node.name)
        name = f'{owner}.{node.name}' if owner else node.name
        kind, sig = ('method' if owner else 'function'), signature(node, bool(owner))
        as_prop = any('as_prop' in ast.unparse(d) for d in node.decorator_list)
        if isinstance(obj, property) or as_prop:
            kind, sig, obj = 'property', '', obj.fget
        text = summary(node, source)
        self.add(name, sig, text)
        body = [*text.split('\n'), '', *fields(obj)]
        return directive(kind, name+sig, self.module, body, level)

    def cls(self, node, source):
        functions = [n for n in node.body if isinstance(n, ast.FunctionDef)]
        init = next((n for n in functions if n.name == '__init__'), None)
        own = list(class_fields(node, source))
        sig = ''
        if init: sig = signature(init, True)
        elif own: sig = f"({', '.join(l.split()[1][:-1] for l in own[::2])})"
        text = ast.get_docstring(node) or ''
        self.add(node.name, sig, text)
        methods = [n for n in functions if not n.name.startswith('_') and not is_setter(n)]
        inner = [self.function(n, source, node.name, level=5) for n in methods]
        described_by = fields(getattr(self.py, node.name)) if init else own
        if init and not any(re.match(r':param \w+: \S', l) for l in described_by):
            described_by = [] # nothing is said, but what type a default has
        body = [*text.split('\n'), '', *described_by, '', *inner]
        return directive('class', node.name+sig, self.module, body)

    def data(self, node, source):
        "The names of an assignment, of several at once as well."
        parts = [n for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        for name in [n.id for n in parts if isinstance(n.ctx, ast.Store)]:
            if name not in self.public: continue
            text = comment_after(node, source) or f'`{ast.unparse(node.value)}`'
            self.add(name, '', text)
            yield directive('data', name, self.module, [text])

    def reference(self, source, fold):
        """The reference of what one exported cell defines, as Markdown; one line that unfolds,
        where the page has the code too."""
        before = len(self.list)
        lines = list(self.objects(source))
        if not fold or not lines: return lines
        names = [name for name, _, _ in self.list[before:]]
        own = [n for n in names if n.partition('.')[0] not in names or '.' not in n]
        return folded(f"Reference of {', '.join(own[:3])}{', …' * (len(own) > 3)}", lines)

    def objects(self, source):
        "What one exported cell defines, object by object."
        for n in ast.parse(source).body:
            if isinstance(n, ast.FunctionDef):
                owner = patched(n)
                private = n.name.startswith('_') or (owner or '').startswith('_')
                if not private and (owner or n.name in self.public):
                    yield self.function(n, source, owner)
            if isinstance(n, ast.ClassDef) and n.name in self.public:
                yield self.cls(n, source)
            if isinstance(n, ast.Assign): yield from self.data(n, source)
