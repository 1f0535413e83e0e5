"Turn the notebooks of nbs/ into what Sphinx reads, in _proc/pages/: a page for each, the reference of its objects, and the API's overview."
import ast, base64, importlib, inspect, io, json, posixpath, re, shutil, sys
from configparser import ConfigParser
from pathlib import Path

from readme import code_in_markdown, directives, link

root = Path(__file__).resolve().parents[1]
nbs, out, npm = root/'nbs', root/'_proc/pages', Path(sys.prefix)/'npm/node_modules'
cfg = ConfigParser()
cfg.read(root/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
blob = f"{cfg['git_url']}/blob/{cfg['branch']}/"

def docname(path):
    "A notebook's page is called as nbdev calls it: `02_Backward.ipynb` gives `backward`."
    return re.sub(r'^\d+[a-z]?_', '', Path(path).stem).lower()

def chapters():
    "The notebooks in order, without the home page."
    return [p for p in sorted(nbs.glob('*.ipynb')) if p.name != cfg['readme_nb']]

def cells(path): return json.loads(path.read_text(encoding='utf-8'))['cells']

def module_of(path):
    "The module that a notebook exports to, or None."
    found = re.search(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(''.join(c['source']) for c in cells(path)), re.M)
    return found and f"{cfg['lib_name']}.{found[1]}"

# Links --------------------------------------------------------------------------------------------------------------

lost = [] # links to notebooks that are not there yet: they lead to the folder, are told to whoever builds, and are refused by the tests

def missing(m):
    if not re.fullmatch(r'\d\d_\w+\.ipynb(#.*)?', m[2]): raise SystemExit(f'a link to {m[2]}, which is not there; correct the link')
    lost.append(m[2])
    return f"{m[1]}{cfg['git_url']}/tree/{cfg['branch']}/nbs"

def relink(text):
    "Notebooks link to notebooks, which become pages, and to files of the repository, which the reader finds on GitHub."
    def fix(m):
        path, at, fragment = m[2].partition('#')
        target = posixpath.normpath(f'nbs/{path}')
        if not (root/target).exists(): return missing(m)
        if target.startswith('nbs/images/'): return m[1] + path
        if target.startswith('nbs/') and path.endswith('.ipynb'): return m[1] + docname(path) + '.ipynb' + at + fragment
        return m[1] + blob + target + at + fragment
    return ''.join(part if i%2 else link.sub(fix, part) for i,part in enumerate(code_in_markdown.split(text)))

# The reference of an object -----------------------------------------------------------------------------------------

def patched(node):
    "The class that fastcore's `@patch` gives a function to, or None."
    if not any('patch' in ast.unparse(d) for d in node.decorator_list): return None
    return ast.unparse(node.args.args[0].annotation)

def signature(node, is_method):
    "The arguments with their defaults; types and shapes stand in the list below."
    args = ast.parse(ast.unparse(node)).body[0].args
    for a in [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, [args.vararg, args.kwarg])]: a.annotation = None
    if is_method and args.args and 'staticmethod' not in map(ast.unparse, node.decorator_list):
        args.args.pop(0)
    return f'({ast.unparse(args)})'

def described(anno, comment):
    kind = '' if anno in (None, inspect.Parameter.empty, type(None)) else inspect.formatannotation(anno).replace('torch.Tensor', 'Tensor')
    return re.sub(r'\bmlfound\.\w+\.', '', kind), comment or ''

def fields(obj):
    "A function's arguments and result, from the comments beside them."
    from fastcore.docments import docments
    lines, docs = [], docments(obj, full=True, returns=True, args_kwargs=True)
    for name,d in docs.items():
        kind, comment = described(d.anno, d.docment)
        if name == 'self' or not (kind or comment): continue
        if name == 'return': lines += [f':returns: {comment}'] * bool(comment) + [f':rtype: {kind}'] * bool(kind)
        else: lines += [f':param {name}: {comment}'] + [f':type {name}: {kind}'] * bool(kind)
    return lines

def class_fields(node, source):
    "The fields of a named tuple, from the comments beside them."
    lines = source.split('\n')
    for n in node.body:
        if isinstance(n, ast.AnnAssign):
            comment = lines[n.end_lineno-1][n.end_col_offset:].partition('#')[2].strip()
            yield from (f':param {n.target.id}: {comment}', f':type {n.target.id}: {ast.unparse(n.annotation)}')

def summary(node, source):
    "The docstring; where there is none, what is returned."
    if text := ast.get_docstring(node): return text
    last = node.body[-1]
    return f'Returns `{ast.get_source_segment(source, last.value)}`.' if isinstance(last, ast.Return) and len(node.body) == 1 else ''

def directive(kind, sig, module, body, level=6):
    return '\n'.join([f"{'`'*level}{{py:{kind}}} {sig}", f':module: {module}', '', *body, '`'*level, ''])

def folded(text, lines, fold):
    "The sentence, then the list of arguments, which is folded where the code below says the same."
    lines = [*text.split('\n'), '', *lines]
    if not fold: return lines
    return ['```{raw} html', '<details class="reference"><summary>Reference</summary>', '```', '', *lines, '',
            '```{raw} html', '</details>', '```']

class Objects:
    "What one notebook defines, read from its cells and from the module that they became."
    def __init__(self, module):
        self.module, self.list = module, [] # of (name, signature, sentence)
        self.py = importlib.import_module(module)
        self.public = set(self.py.__all__)

    def add(self, name, sig, text): self.list.append((name, sig, text.split('\n')[0]))

    def function(self, node, source, owner=None, fold=False, level=6):
        name = f'{owner}.{node.name}' if owner else node.name
        obj = getattr(getattr(self.py, owner), node.name) if owner else getattr(self.py, node.name)
        kind, sig = ('method' if owner else 'function'), signature(node, bool(owner))
        if isinstance(obj, property) or any('as_prop' in ast.unparse(d) for d in node.decorator_list):
            kind, sig, obj = 'property', '', obj.fget
        self.add(name, sig, summary(node, source))
        return directive(kind, name+sig, self.module, folded(summary(node, source), fields(obj), fold), level)

    def cls(self, node, source, fold):
        init = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == '__init__'), None)
        own = list(class_fields(node, source))
        sig = signature(init, True) if init else f"({', '.join(l.split()[1][:-1] for l in own[::2])})" if own else ''
        text = ast.get_docstring(node) or ''
        self.add(node.name, sig, text)
        methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith('_')]
        inner = [self.function(n, source, node.name, level=5) for n in methods]
        return directive('class', node.name+sig, self.module,
                         folded(text, [*(fields(getattr(self.py, node.name)) if init else own), '', *inner], fold))

    def data(self, node, source):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in self.public:
                comment = source.split('\n')[node.end_lineno-1][node.end_col_offset:].partition('#')[2].strip()
                text = comment or f'`{ast.unparse(node.value)}`'
                self.add(target.id, '', text)
                yield directive('data', target.id, self.module, [text])

    def reference(self, source, fold):
        "The reference of what one exported cell defines, as Markdown."
        for n in ast.parse(source).body:
            if isinstance(n, ast.FunctionDef):
                owner = patched(n)
                private = n.name.startswith('_') or (owner or '').startswith('_')
                if not private and (owner or n.name in self.public): yield self.function(n, source, owner, fold)
            if isinstance(n, ast.ClassDef) and n.name in self.public: yield self.cls(n, source, fold)
            if isinstance(n, ast.Assign): yield from self.data(n, source)

# Pages --------------------------------------------------------------------------------------------------------------

def markdown(text, **more): return dict(cell_type='markdown', metadata={}, source=text, **more)

def alt(source):
    found = re.search(r'^#\|\s*fig-alt:\s*(.+)$', source, re.M)
    return dict(mystnb=dict(image=dict(alt=found[1].strip()))) if found else {}

def shown(output):
    "An output with its links mended; a PNG with 64 colours, which is a quarter as large and looks the same."
    data = output.get('data', {})
    if 'text/markdown' in data: # Sphinx does not look into outputs: there, a link must name the page itself
        text = re.sub(r'(\]\([\w-]+)\.ipynb', r'\1.html', relink(''.join(data['text/markdown'])))
        return output | dict(data=data | {'text/markdown': text})
    if 'image/png' not in data or 'image/svg+xml' in data: return output
    from PIL import Image
    drawn, small = io.BytesIO(base64.b64decode(''.join(data['image/png']))), io.BytesIO()
    Image.open(drawn).convert('RGB').quantize(64, dither=Image.Dither.NONE).save(small, 'PNG', optimize=True)
    if small.tell() >= len(drawn.getvalue()): return output
    return output | dict(data=data | {'image/png': base64.b64encode(small.getvalue()).decode()})

def code_cell(cell, solution=False):
    "A cell as it is shown, or None: `#|` directives become the tags that myst-nb knows."
    source = ''.join(cell['source'])
    found, code = directives(source)
    outputs = [] if 'output:false' in found else [shown(o) for o in cell['outputs']]
    if found & {'hide', 'include:false'} or not code: return None
    if found & {'export', 'exporti'} and not outputs: return None
    tags = [tag for tag,on in (('remove-input', 'echo:false' in found or found & {'export', 'exporti'}),
                               ('hide-input', 'code-fold:true' in found or solution)) if on]
    return cell | dict(source=code, outputs=outputs, execution_count=None, metadata=dict(tags=tags) | alt(source))

def page(path, objects=None):
    "The cells of a notebook's page."
    for i,cell in enumerate(cs := cells(path)):
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown': yield cell | markdown(relink(source))
        if cell['cell_type'] != 'code': continue
        found, code = directives(source)
        if objects and found & {'export', 'exports'} and not found & {'hide'}:
            if text := '\n'.join(objects.reference(code, 'exports' in found)): yield markdown(text)
        after_solution = i and cs[i-1]['cell_type'] == 'markdown' and ''.join(cs[i-1]['source']).rstrip().endswith('</details>')
        if visible := code_cell(cell, after_solution): yield visible

def notebook(cs, path): # without the cells' names: they are not needed, and the added cells have none
    nb = json.loads(path.read_text(encoding='utf-8'))
    return nb | dict(cells=[{k:v for k,v in c.items() if k not in ('id', 'attachments')} for c in cs], nbformat_minor=4)

def write(path, text):
    "Only what has changed, so that Sphinx reads only that."
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding='utf-8') != text: path.write_text(text, encoding='utf-8', newline='\n')

def label(path): return path.stem.replace('_', ' ', 1).replace('_', ' ')

def toctree():
    lines = [f'{label(p)} <{docname(p)}>' for p in chapters()]
    return '\n'.join(['```{toctree}', ':hidden:', ':caption: Chapters', *lines, '```', '',
                      '```{toctree}', ':hidden:', ':caption: Reference', 'API <api>', 'Index <genindex>', '```'])

def lead(path):
    "The sentence under a chapter's title."
    found = re.search(r'^> (.+)$', ''.join(cells(path)[0]['source']), re.M)
    return found[1] if found else ''

def api(pages):
    "One line for each object of each module."
    parts = ['# API', '', 'Every public object, one line each. A name leads to its signature, the shapes of its arguments, the errors '
             'it raises and its source; the module leads to the chapter that builds it.', '']
    for path,objects in pages:
        parts += [f'## {objects.module}', '', f'```{{py:module}} {objects.module}\n```', '',
                  f'[{label(path)}]({docname(path)}.ipynb): {relink(lead(path))}', '', '| object | what it is |', '|---|---|']
        for name,sig,text in objects.list:
            parts.append(f'| {{py:obj}}`{name} <{objects.module}.{name}>` | {text.replace("|", chr(92)+"|")} |')
        parts.append('')
    return '\n'.join(parts)

def colab(path):
    "The notebook as Colab opens it: first of all it installs the library."
    nb = json.loads(path.read_text(encoding='utf-8'))
    install = dict(cell_type='code', id='install', metadata={}, execution_count=None, outputs=[],
                   source=f"%pip install --quiet {cfg['lib_name']}=={cfg['version']}")
    return json.dumps(nb | dict(cells=[install, *nb['cells']]), indent=1, ensure_ascii=False) + '\n'

def static_files():
    "Fonts and style sheets from npm's packages, so that a page asks nobody else for them."
    to = out/'static'
    shutil.rmtree(to, ignore_errors=True)
    (to/'fonts').mkdir(parents=True)
    shutil.copy(npm/'minisearch/dist/umd/index.js', to/'minisearch.js')
    for file in (npm/'katex/dist/fonts').glob('*.woff2'): shutil.copy(file, to/'fonts')
    css = (npm/'katex/dist/katex.min.css').read_text(encoding='utf-8')
    (to/'katex.min.css').write_text(re.sub(r',url\([^)]*\.(woff|ttf)\) format\("\w+"\)', '', css), encoding='utf-8')
    faces = []
    for package, family in ('source-serif-4', 'Source Serif 4 Variable'), ('jetbrains-mono', 'JetBrains Mono Variable'):
        for style in ('normal', 'italic')[:1 if 'mono' in package else 2]:
            name = f'{package}-latin-wght-{style}.woff2'
            shutil.copy(npm/'@fontsource-variable'/package/'files'/name, to/'fonts')
            faces.append(f'@font-face{{font-family:"{family}";font-style:{style};font-weight:200 900;font-display:swap;src:url(fonts/{name}) format("woff2")}}')
    (to/'fonts.css').write_text('\n'.join(faces) + '\n', encoding='utf-8')

def colabs(to):
    for path in chapters(): write(to/path.name, colab(path))

def main():
    out.mkdir(parents=True, exist_ok=True)
    static_files()
    shutil.copytree(nbs/'images', out/'images', dirs_exist_ok=True)
    pages = []
    for path in chapters():
        objects = Objects(module) if (module := module_of(path)) else None
        write(out/f'{docname(path)}.ipynb', json.dumps(notebook(page(path, objects), path), indent=1, ensure_ascii=False))
        if objects: pages.append((path, objects))
    home = nbs/cfg['readme_nb']
    write(out/'index.ipynb', json.dumps(notebook([*page(home), markdown(toctree())], home), indent=1, ensure_ascii=False))
    write(out/'api.md', api(pages))
    for path in chapters():
        write(out/'extra/notebooks'/path.name, path.read_text(encoding='utf-8'))
    colabs(out/'extra/colab')
    for link in sorted({*lost}): print(f'mlfound: a chapter links to {link}, which is not there yet', file=sys.stderr)
    wanted = {*(f'{docname(p)}.ipynb' for p in chapters()), 'index.ipynb', 'api.md'}
    for stale in out.glob('*.*'):
        if stale.name not in wanted: stale.unlink()
    for stale in (out/'extra').glob('*/*.ipynb'):
        if not (nbs/stale.name).exists(): stale.unlink()

if __name__ == '__main__': colabs(Path(sys.argv[2])) if sys.argv[1:2] == ['--colab'] else main()
