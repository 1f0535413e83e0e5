"What the search finds: a record for each section and object, and what else readers call things."
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

import glossary
from book import chapters, docname, label
from formulas import as_text

NO_PROSE = nodes.literal_block, nodes.image, nodes.raw, nodes.comment, nodes.title

def text_of(node, without):
    "A node's text as a sentence shows it, without code and parts that have records of their own."
    parts = []
    def walk(n):
        if isinstance(n, (*NO_PROSE, *without)): return
        if isinstance(n, (nodes.math, nodes.math_block)):
            space = ' ' if isinstance(n, nodes.math_block) else ''
            parts.append(space + as_text(n.astext()) + space)
            return
        if isinstance(n, nodes.Text): parts.append(str(n))
        for child in n.children: walk(child)
        block = isinstance(n, (nodes.TextElement, nodes.entry)) and not isinstance(n, nodes.Inline)
        if block: parts.append(' ')
    for child in node.children: walk(child)
    return ' '.join(''.join(parts).split())

def title_of(section):
    "A section's title, with its formulas as they look."
    def seen(n): return as_text(n.astext()) if isinstance(n, nodes.math) else n.astext()
    return ''.join(map(seen, section[0].children))

def records(page, title, doctree):
    "What can be found on a page: its sections, and the objects that it defines."
    for section in doctree.findall(nodes.section):
        place = '' if isinstance(section.parent, nodes.document) else '#' + section['ids'][0]
        text = text_of(section, (nodes.section, addnodes.desc))
        yield dict(title=title_of(section), text=text, page=title, url=f'{page}.html{place}')
    for desc in doctree.findall(addnodes.desc):
        sig = desc[0]
        args = sig.next_node(addnodes.desc_parameterlist)
        taken = '' if args is None else f"({', '.join(a.astext() for a in args)})"
        text = text_of(desc, (addnodes.desc_signature, addnodes.desc))
        yield dict(title=sig['fullname'] + taken, text=text, page=f"{sig['module']}, {title}",
                   url=f"{page}.html#{sig['ids'][0]}", object=True)

def explained():
    "The words of the book as records of their own: where each is explained comes first."
    for word, place in glossary.found().items():
        text = re.sub(r'\[([^]]+)\]\([^)]*\)', r'\1', place.said).replace('`', '')
        text = re.sub(r'\$([^$]+)\$', lambda m: as_text(m[1]), text)
        yield dict(title=word, text=text, page=label(place.path),
                   url=f'{docname(place.path)}.html#{glossary.anchor(word)}')

def write_search(app, exception):
    "The records as a script: no request is needed to read it, so that it works from a folder, too."
    if exception or app.builder.name != 'html': return
    titles = {docname(p): label(p) for p in chapters()} | dict(index='Home')
    found = [*explained()]
    for page, title in titles.items(): found += records(page, title, app.env.get_doctree(page))
    data = dict(SEARCH_DATA=found, SYNONYMS=glossary.synonyms())
    short = dict(ensure_ascii=False, separators=(',', ':'))
    text = ''.join(f'const {name} = {json.dumps(what, **short)};\n' for name, what in data.items())
    (Path(app.outdir)/'search-data.js').write_text(text, encoding='utf-8')
