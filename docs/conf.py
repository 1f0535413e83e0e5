"How Sphinx makes the site from what docs/prepare.py wrote; called by docs/build.py."
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from book import blob, cfg, chapters, docname, online, out, path_chapters, root # noqa: E402
from finding import write_search # noqa: E402
from formulas import visit_math # noqa: E402
from symbols import keep_anchors, link_symbols, source_of # noqa: E402

theme = root/'docs/theme'

project, author, copyright = cfg['lib_name'], cfg['author'], cfg['copyright']
version = release = cfg['version']
language = 'en'
extensions = ['myst_nb', 'sphinx_copybutton', 'sphinx.ext.linkcode']
templates_path = [str(theme/'templates')]
exclude_patterns = ['extra', 'static', 'images']
add_module_names = False
toc_object_entries = False
highlight_language = 'none'
smartquotes = False

# The notebooks keep the outputs that they were saved with: `make outputs` makes them.
nb_execution_mode = 'off'
nb_merge_streams = True
nb_number_source_lines = False
nb_render_markdown_format = 'gfm' # what a cell prints as Markdown may be a table
myst_enable_extensions = ['dollarmath', 'fieldlist', 'alert', 'attrs_inline']
myst_heading_anchors = 4

# The look -----------------------------------------------------------------------------------------

html_theme = 'furo'
html_title = f'{project} {version}'
html_baseurl = online
html_static_path = [str(theme/'static'), str(out/'static')]
html_extra_path = [str(out/'extra')]
html_css_files = ['fonts.css', 'katex.min.css', 'site.css']
html_js_files = ['site.js', 'touch.js', 'draw.js']
html_math_renderer = 'katex'
html_show_sourcelink = html_copy_source = html_domain_indices = False
html_last_updated_fmt = None
html_theme_options = dict(
    light_css_variables={'font-stack': '"Source Serif 4 Variable", Georgia, serif',
                         'font-stack--headings': 'inherit',
                         'font-stack--monospace': '"JetBrains Mono Variable", Consolas, monospace',
                         'comment': '#57606a', 'figure': 'none'},
    dark_css_variables={'comment': '#9198a1', 'figure': 'invert(.925) hue-rotate(180deg)'})
pygments_style, pygments_dark_style = 'github-light-colorblind', 'github-dark-colorblind'
copybutton_selector = 'div.highlight pre'
copybutton_exclude = '.linenos, .gp'
linkcode_resolve = source_of

# The e-book of the path (docs/ebook.py) -----------------------------------------------------------

epub_basename = f'{project}-path'
epub_title = f'{project}: the path'
epub_description = cfg['description']
epub_uid = project
epub_identifier = online
epub_scheme = 'URL'
epub_show_urls = 'no'
epub_use_index = False
epub_css_files = ['ebook.css']
suppress_warnings = ['epub.unknown_project_files', 'epub.duplicated_toc_entry']

if tags.has('epub'): # noqa: F821 (Sphinx defines it)
    templates_path, extensions = [], ['myst_nb']
    html_static_path, html_extra_path = [str(theme/'ebook')], []
    html_css_files, html_js_files = [], []

# A page's last touches ----------------------------------------------------------------------------

def read_as_seen(match):
    "A formula in a table's head, as the signs that are seen: MathML alone counts as empty."
    seen = re.sub(r'<span class="katex-mathml">.*?</math></span>', '', match[0])
    return seen.replace(' aria-hidden="true"', '')

def mended(body):
    "A page's text without what a screen reader would stumble on."
    # the label would hide the words on the fold
    body = body.replace(' aria-label="Toggle hidden content"', '')
    # names, brackets, blanks: no colour of their own, and a third of the page
    body = re.sub(r'<span class="(?:n|p|w|pre)">([^<]*)</span>', r'\1', body)
    body = re.sub(r'<th class="head.*?</th>', read_as_seen, body, flags=re.S)
    return re.sub(r'<th class="head[^"]*">(<p></p>)?</th>', '<td></td>', body)

trees = {} # of all pages, with no row marked, by the options that the theme asks for

def row(page): return f'<li class="toctree-l1"><a class="reference internal" href="{page}.html">'

CURRENT = '<li class="toctree-l1 current"><a class="current reference internal" href="#">'

def one_tree(toctree, page):
    """What the theme calls for the pages beside a page. Sphinx would make the tree anew for each,
    which is a seventh of the time for the site; all that is a page's own is the row for itself."""
    def tree(**options):
        key = repr(sorted(options.items()))
        if key not in trees:
            made = toctree(**options).replace('<ul class="current">', '<ul>')
            trees[key] = made.replace(CURRENT, row(page))
        before, found, after = trees[key].partition(row(page))
        above, _, beside = before.rpartition('<ul>')
        return f'{above}<ul class="current">{beside}{CURRENT}{after}' if found else trees[key]
    return tree

def page_context(app, pagename, templatename, context, doctree):
    "The page's text, and where its notebook is."
    context['body'] = mended(context.get('body', ''))
    if 'toctree' in context: context['toctree'] = one_tree(context['toctree'], pagename)
    path = next((p for p in chapters() if docname(p) == pagename), None)
    if not path: return
    repository = f"{cfg['user']}/{cfg['repo']}"
    context['ebook'] = f'{epub_basename}.epub' if path in path_chapters() else None
    context['notebook'] = dict(
        name=path.name, source=f'{blob}nbs/{path.name}',
        colab=f'https://colab.research.google.com/github/{repository}/blob/colab/{path.name}')

def without_index(app):
    "Sphinx need not stem every word for an index of its own, which nobody reads: one page will do."
    if app.builder.name != 'html': return
    own, app.builder.load_indexer = app.builder.index_page, lambda names: None
    app.builder.index_page = lambda name, *page: own(name, *page) if name == 'index' else None

def setup(app):
    app.connect('builder-inited', without_index)
    app.add_html_math_renderer('katex', (visit_math, None), (visit_math, None))
    app.connect('build-finished', write_search)
    app.connect('doctree-read', link_symbols)
    app.connect('doctree-read', keep_anchors)
    app.connect('html-page-context', page_context)
