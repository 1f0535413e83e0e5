"Write README.md from nbs/index.ipynb; with `--check`, only say whether it is up to date."
import posixpath
import sys

from book import directives, link, nbs, outside_code, read, root, source

note = '<!-- generated from nbs/index.ipynb by docs/readme.py: edit the notebook, not this file -->'

def relink(text):
    "A notebook's links start in nbs/, the README's where nbs/ is."
    def fix(m):
        target = posixpath.normpath(f'nbs/{m[2]}')
        if not (root/target).exists():
            raise SystemExit(f'index.ipynb: links to {m[2]}, but there is no {target}; '
                             'correct the link')
        return m[1] + target
    return outside_code(text, lambda part: link.sub(fix, part))

def fenced(text, language=''): return f'```{language}\n{text}\n```'

def shown(output):
    "One output as Markdown."
    if output['output_type'] == 'error':
        raise SystemExit(f"index.ipynb: a cell stopped with {output['ename']}; "
                         'run it again and save')
    data = output.get('data', {'text/plain': output.get('text')})
    if any(kind.startswith('image/') for kind in data):
        raise SystemExit('index.ipynb: an output is an image; '
                         'save it in nbs/images/ and show it with '
                         '![what it shows](images/NAME.svg)')
    if 'text/markdown' in data: return relink(''.join(data['text/markdown']))
    return fenced(''.join(data['text/plain']).strip('\n'))

def readme(nb):
    "The README's text, from the notebook."
    parts = [note]
    for cell in nb['cells']:
        if cell['cell_type'] == 'markdown': parts.append(relink(source(cell).strip('\n')))
        if cell['cell_type'] != 'code': continue
        found, code = directives(source(cell))
        if found & {'hide', 'include:false', 'export', 'exporti'} or not code: continue
        if 'echo:false' not in found: parts.append(fenced(code, 'python'))
        if 'output:false' not in found: parts += [shown(o) for o in cell['outputs']]
    return '\n\n'.join(parts) + '\n'

def main():
    want = readme(read(nbs/'index.ipynb'))
    file = root/'README.md'
    if '--check' not in sys.argv: file.write_text(want, encoding='utf-8', newline='\n')
    elif file.read_text(encoding='utf-8') != want:
        raise SystemExit('README.md does not say what nbs/index.ipynb says; '
                         'run: python docs/readme.py')

if __name__ == '__main__': main()
