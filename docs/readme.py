"Write README.md from nbs/index.ipynb; with `--check`, only say whether it is up to date."
import json, posixpath, re, sys
from pathlib import Path

root = Path(__file__).resolve().parents[1]
note = '<!-- generated from nbs/index.ipynb by docs/readme.py: edit the notebook, not this file -->'
code_in_markdown = re.compile(r'(^ *```.*?^ *```|`[^`\n]*`)', re.M|re.S)
link = re.compile(r'(\]\(|\b(?:src|href|srcset)="|^\[[^]^][^]]*\]: *)(?![a-z]+:|[#/])([^)"#\s]+)', re.M)

def directives(source):
    "Split a cell's source into its `#|` directives, without blanks, and the code under them."
    lines = source.split('\n')
    found = {re.sub(r'\s', '', l)[2:] for l in lines if l.startswith('#|')}
    return found, '\n'.join(l for l in lines if not l.startswith('#|')).strip('\n')

def relink(text):
    "A notebook's links start in nbs/, the README's where nbs/ is."
    def fix(m):
        target = posixpath.normpath(f'nbs/{m[2]}')
        if not (root/target).exists(): raise SystemExit(f'index.ipynb: links to {m[2]}, but there is no {target}; correct the link')
        return m[1] + target
    return ''.join(part if i%2 else link.sub(fix, part) for i,part in enumerate(code_in_markdown.split(text)))

def fenced(text, language=''): return f'```{language}\n{text}\n```'

def shown(output):
    "One output as Markdown."
    if output['output_type'] == 'error': raise SystemExit(f"index.ipynb: a cell stopped with {output['ename']}; run it again and save")
    data = output.get('data', {'text/plain': output.get('text')})
    if any(kind.startswith('image/') for kind in data):
        raise SystemExit('index.ipynb: an output is an image; save it in nbs/images/ and show it with ![what it shows](images/NAME.svg)')
    if 'text/markdown' in data: return relink(''.join(data['text/markdown']))
    return fenced(''.join(data['text/plain']).strip('\n'))

def readme(nb):
    "The README's text, from the notebook as `json` reads it."
    parts = [note]
    for cell in nb['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown': parts.append(relink(source.strip('\n')))
        if cell['cell_type'] != 'code': continue
        found, code = directives(source)
        if found & {'hide', 'include:false', 'export', 'exporti'} or not code: continue
        if 'echo:false' not in found: parts.append(fenced(code, 'python'))
        if 'output:false' not in found: parts += [shown(o) for o in cell['outputs']]
    return '\n\n'.join(parts) + '\n'

def main():
    want = readme(json.loads((root/'nbs/index.ipynb').read_text(encoding='utf-8')))
    file = root/'README.md'
    if '--check' not in sys.argv: file.write_text(want, encoding='utf-8', newline='\n')
    elif file.read_text(encoding='utf-8') != want:
        raise SystemExit('README.md does not say what nbs/index.ipynb says; run: python docs/readme.py')

if __name__ == '__main__': main()
