"""Turn the notebooks of nbs/ into what Sphinx reads, in _proc/pages/: a page for each with the
reference of its objects, the API's overview, the page of words; and the notebooks that readers
download or open in Colab."""
import base64
import io
import json
import re
import shutil
import sys
from pathlib import Path

import ebook
import glossary
from book import (cells, cfg, chapters, contents, directives, docname, label, lead, lost, module_of,
                  nbs, npm, out, read, relink, root, source)
from folds import JUDGE, OPEN, PRINTED, ends_in_fold, folds
from reference import Objects, raw

# Cells --------------------------------------------------------------------------------------------

def markdown(text): return dict(cell_type='markdown', metadata={}, source=text)
def html(text): return markdown('\n'.join(raw(text)))

def small_png(drawn):
    "A picture with 64 colours, which is a quarter as large and looks the same."
    from PIL import Image
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(drawn)).convert('RGB')
    picture.quantize(64, dither=Image.Dither.NONE).save(small, 'PNG', optimize=True)
    return min(drawn, small.getvalue(), key=len)

def shown(output):
    "An output with its links mended and its picture made small."
    data = output.get('data', {})
    if 'text/markdown' in data: # Sphinx does not look into outputs: there, a link names the page
        text = re.sub(r'(\]\([\w-]+)\.ipynb', r'\1.html', relink(''.join(data['text/markdown'])))
        return output | dict(data=data | {'text/markdown': text})
    if 'image/png' not in data or 'image/svg+xml' in data: return output
    drawn = base64.b64decode(''.join(data['image/png']))
    return output | dict(data=data | {'image/png': base64.b64encode(small_png(drawn)).decode()})

def is_handle(output):
    "Is this only the name of what a figure is drawn on, `<Axes: >`?"
    text = ''.join(output.get('data', {}).get('text/plain', ''))
    drawn = re.match(r'<(Axes|Figure|matplotlib)\b', text)
    return output['output_type'] == 'execute_result' and drawn

def code_cell(cell, fold):
    "A cell as it is shown: what `fold` says, and what its figure shows, as myst-nb reads them."
    text = source(cell)
    found, code = directives(text)
    outputs = [shown(o) for o in cell['outputs'] if not is_handle(o)]
    if 'output:false' in found: outputs = []
    notes = {}
    if fold.name: notes = dict(code_prompt_show=fold.name, code_prompt_hide=fold.name)
    if alt := re.search(r'^#\|\s*fig-alt:\s*(.+)$', text, re.M):
        notes['image'] = dict(alt=alt[1].strip())
        if 'fig-class:photo' in found: notes['image']['classes'] = 'photo' # not turned in the dark
    tags = ['hide-input'] if fold.name and not fold.outputs else []
    metadata = dict(tags=tags, mystnb=notes)
    return cell | dict(source=code, outputs=outputs, execution_count=None, metadata=metadata)

# Pages --------------------------------------------------------------------------------------------

CLOSE = '</details>'

def opening(name): return html(f'<details class="fold"><summary>{name}</summary>')

def page(path, objects=None, pages=None):
    """The cells of a notebook's page. What is folded together shares one fold, and a solution its
    code. `pages` are those of the book, where that is not the whole site."""
    cs, opened = cells(path), '' # the fold that is open: '', a name, or 'text' for that of a text
    words = glossary.places().get(docname(path), {})
    for i, (cell, fold, inside) in enumerate(folds(cs)):
        found, code = directives(source(cell))
        if cell['cell_type'] == 'code' and not code: continue
        here = fold.name if fold.outputs else ''
        if inside: here = 'text'
        if opened and here != opened: yield html(CLOSE)
        if here and here != opened and here != 'text': yield opening(fold.name)
        opened = here
        if cell['cell_type'] == 'markdown':
            text = glossary.mark(relink(source(cell), pages), words.get(i, []))
            if ends_in_fold(cell) and i+1 < len(cs) and cs[i+1]['cell_type'] == 'code':
                text, opened = text.rstrip().removesuffix(CLOSE), 'text'
            yield markdown(text)
        if cell['cell_type'] != 'code': continue
        if objects and found & {'export', 'exports'}:
            text = objects.reference(code, fold='exports' in found)
            if text: yield markdown('\n'.join(text))
        if inside and fold not in (JUDGE, PRINTED): fold = fold._replace(name='')
        yield code_cell(cell, fold)
    if opened: yield html(CLOSE)

def home_page(path):
    "The first page, as the README has it: no guards, and no code where only its output is meant."
    for cell, fold, _ in folds(cells(path)):
        if cell['cell_type'] == 'markdown': yield markdown(relink(source(cell)))
        elif not fold.outputs and directives(source(cell))[1]:
            shown_cell = code_cell(cell, OPEN)
            if fold.name: shown_cell['metadata']['tags'] = ['remove-input']
            yield shown_cell

def notebook(cs, path):
    "A page's notebook, without the cells' names: nobody needs them, and the added cells have none."
    kept = [{k: v for k, v in c.items() if k not in ('id', 'attachments')} for c in cs]
    return read(path) | dict(cells=kept, nbformat_minor=4)

def write(path, text):
    "Only what has changed, so that Sphinx reads only that."
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding='utf-8') != text:
        path.write_text(text, encoding='utf-8', newline='\n')

def tree(caption, lines):
    return ['```{toctree}', ':hidden:', f':caption: {caption}', *lines, '```', '']

def toctree():
    "The navigation: the rooms with their chapters, then what is looked up."
    trees = [line for name, listed in contents().items()
             for line in tree(name, [f'{text} <{docname(p)}>' for text, p in listed])]
    reference = tree('Reference', ['Words <words>', 'API <api>', 'Index <genindex>'])
    return '\n'.join([*trees, *reference])

def api(pages):
    "One line for each object of each module."
    parts = ['# API', '', 'Every public object, one line each. A name leads to its signature, the '
             'shapes of its arguments, the errors it raises and its source; the module leads to '
             'the chapter that builds it.', '']
    for path, objects in pages:
        module = f'```{{py:module}} {objects.module}\n:no-index-entry:\n```'
        parts += [f'## {objects.module}', '', module, '',
                  f'[{label(path)}]({docname(path)}.ipynb): {relink(lead(path))}', '',
                  '| object | what it is |', '|---|---|']
        for name, _, text in objects.list:
            text = text.replace('|', r'\|')
            parts.append(f'| {{py:obj}}`{name} <{objects.module}.{name}>` | {text} |')
        parts.append('')
    return '\n'.join(parts)

# Downloads ----------------------------------------------------------------------------------------

INSTALL = '''# The library of this notebook, unless it is there. Should pip not find that version,
# it is not published yet; install the repository instead:
# %pip install --quiet git+{git_url}
from importlib.util import find_spec
if not find_spec('{lib_name}'):
    %pip install --quiet {lib_name}=={version}'''

MEASURED = re.compile(r'\.\./benchmarks/(\w+\.(?:json|md))(?=\')')

def code(name, text):
    "A cell that the book's notebook does not have, folded in JupyterLab."
    folded = dict(jupyter=dict(source_hidden=True))
    return dict(cell_type='code', id=name, metadata=folded, source=text, outputs=[],
                execution_count=None)

def measured(names):
    "The measured figures that a chapter reads, as code that writes them where it will look."
    lines = ['# What was measured for this chapter.', 'from pathlib import Path']
    for name in names:
        text = (root/'benchmarks'/name).read_text(encoding='utf-8')
        if name.endswith('.json'): text = json.dumps(json.loads(text), separators=(',', ':'))
        lines.append(f'Path({name!r}).write_text({text!r})')
    return '\n'.join([*lines, 'None'])

def download(path):
    "The notebook as it is downloaded or opened in Colab: first of all it sees to what it needs."
    text = path.read_text(encoding='utf-8')
    nb = json.loads(MEASURED.sub(r'\1', text))
    added = [code('install', INSTALL.format(**cfg))]
    if names := sorted({*MEASURED.findall(text)}): added.append(code('measured', measured(names)))
    return json.dumps(nb | dict(cells=[*added, *nb['cells']]), indent=1, ensure_ascii=False) + '\n'

def downloads(to):
    for path in chapters(): write(to/path.name, download(path))

def workbook(to):
    "The blank notebooks of the workbook, as the library carries them; they install it themselves."
    file = root/'mlfound/assets/workbook.json'
    for name, nb in json.loads(file.read_text(encoding='utf-8'))['notebooks'].items():
        write(to/f'{name}.ipynb', json.dumps(nb, indent=1, ensure_ascii=False) + '\n')

# Fonts and style sheets ---------------------------------------------------------------------------

FACE = ('@font-face{{font-family:"{family}";font-style:{style};font-weight:200 900;'
        'font-display:swap;src:url(fonts/{file}) format("woff2")}}')
FAMILIES = {'source-serif-4': ('Source Serif 4 Variable', ['normal', 'italic']),
            'jetbrains-mono': ('JetBrains Mono Variable', ['normal'])}

def static_files():
    "Fonts and style sheets from npm's packages, so that a page asks nobody else for them."
    to = out/'static'
    shutil.rmtree(to, ignore_errors=True)
    (to/'fonts').mkdir(parents=True)
    shutil.copy(npm/'minisearch/dist/umd/index.js', to/'minisearch.js')
    for file in (npm/'katex/dist/fonts').glob('*.woff2'): shutil.copy(file, to/'fonts')
    css = (npm/'katex/dist/katex.min.css').read_text(encoding='utf-8')
    css = re.sub(r',url\([^)]*\.(woff|ttf)\) format\("\w+"\)', '', css)
    (to/'katex.min.css').write_text(css, encoding='utf-8')
    faces = []
    for package, (family, styles) in FAMILIES.items():
        for style in styles:
            file = f'{package}-latin-wght-{style}.woff2'
            shutil.copy(npm/'@fontsource-variable'/package/'files'/file, to/'fonts')
            faces.append(FACE.format(family=family, style=style, file=file))
    (to/'fonts.css').write_text('\n'.join(faces) + '\n', encoding='utf-8')

# The page to draw on ------------------------------------------------------------------------------

BACK = '''<p><a href="index.html" target="_top">The book</a> ·
<a href="playground.html" target="_top">how this page is made, and how it computes</a></p>
</header>'''

def page_to_draw_on(file):
    "The page that `mlfound draw` writes, with a way back to the book."
    from mlfound.playground import write_page # the notebooks for Colab are written without it
    text = write_page(None, file).replace('</header>', BACK, 1)
    file.write_text(text, encoding='utf-8', newline='\n')

# Everything ---------------------------------------------------------------------------------------

def remove_stale():
    "What an earlier build wrote of notebooks that are gone."
    wanted = {*(f'{docname(p)}.ipynb' for p in chapters()), 'index.ipynb', 'api.md', 'words.md'}
    for file in out.glob('*.*'):
        if file.name not in wanted: file.unlink()
    for file in (out/'extra').glob('*/*.ipynb'):
        if not (nbs/file.name).exists(): file.unlink()
    shutil.rmtree(out/'extra/colab', ignore_errors=True)

def as_text(cs, path): return json.dumps(notebook(cs, path), indent=1, ensure_ascii=False)

def main():
    out.mkdir(parents=True, exist_ok=True)
    static_files()
    shutil.copytree(nbs/'images', out/'images', dirs_exist_ok=True)
    pages = []
    for path in chapters():
        objects = Objects(module) if (module := module_of(path)) else None
        write(out/f'{docname(path)}.ipynb', as_text(page(path, objects), path))
        if objects: pages.append((path, objects))
    home = nbs/cfg['readme_nb']
    write(out/'index.ipynb', as_text([*home_page(home), markdown(toctree())], home))
    write(out/'api.md', api(pages))
    ebook.prepare(page, notebook)
    write(out/'words.md', glossary.page())
    downloads(out/'extra/notebooks')
    page_to_draw_on(out/'extra/draw.html')
    for target in sorted({*lost}):
        print(f'mlfound: a chapter links to {target}, which is not there yet', file=sys.stderr)
    remove_stale()

if __name__ == '__main__':
    if sys.argv[1:2] == ['--colab']:
        downloads(Path(sys.argv[2]))
        workbook(Path(sys.argv[2])/'workbook')
    else: main()
