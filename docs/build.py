"""Build the site into _site/, or into a folder that is named; warnings are errors.

    python docs/build.py [FOLDER]       the site, with the e-book of the path in it
    python docs/build.py --serve        shows the site, and builds it again on change
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

root = Path(__file__).resolve().parents[1]
work = root/'_proc'

def run(*command):
    "The command's exit code. The order of Python's sets must not show in a page."
    env = os.environ | dict(PYTHONPATH=str(root), PYTHONHASHSEED='0', SOURCE_DATE_EPOCH='0')
    return subprocess.run([str(c) for c in command], cwd=root, env=env).returncode

def prepare(): return run(sys.executable, root/'docs/prepare.py')

def sphinx(builder, pages, to, scratch, *only):
    """Sphinx's exit code. It starts afresh: what it makes depends on nothing but the notebooks. Or
    it writes `only` these pages, of those that it has read."""
    return run(sys.executable, '-m', 'sphinx', '-b', builder, '-t', builder,
               '-W', '--keep-going', '-q', '-c', root/'docs',
               '-d', scratch/f'doctrees-{builder}', pages, to, *only)

def packed_page(data):
    "A page of the e-book without the style sheet that myst-nb links to and delivers too late."
    return re.sub(rb'<link[^>]*mystnb\.[^>]*>', b'', data)

def packing_list(data, with_formulas):
    "The e-book's list of files, which has to say where there are formulas."
    for name in with_formulas:
        link = f'href="{name}"'
        data = data.replace(link.encode(), f'{link} properties="mathml"'.encode())
    return data

def pack_again(file, to):
    "The e-book without the time of day, and with what Sphinx leaves out."
    with ZipFile(file) as packed: files = {name: packed.read(name) for name in packed.namelist()}
    pages = {name: packed_page(data) for name, data in files.items() if name.endswith('.xhtml')}
    formulas = [name for name, data in pages.items() if b'<math' in data and name != 'nav.xhtml']
    files |= pages | {'content.opf': packing_list(files['content.opf'], formulas)}
    with ZipFile(to, 'w') as again:
        for name, data in files.items():
            again.writestr(ZipInfo(name), data, ZIP_STORED if name == 'mimetype' else ZIP_DEFLATED)

def ebook(site, scratch):
    "The path as an e-book, put into the site."
    to = scratch/'epub'
    if failed := sphinx('epub', work/'ebook', to, scratch): return failed
    for file in to.glob('*.epub'): pack_again(file, site/file.name)
    return 0

def remove_notes(site):
    "What the builder writes for itself, and an index that search.js does not use."
    shutil.rmtree(site/'_sources', ignore_errors=True)
    for name in '.buildinfo', 'searchindex.js': (site/name).unlink(missing_ok=True)

def build(to=root/'_site', scratch=work/'build', with_ebook=True):
    "Build next to the site's place, then put it there. The exit code of what failed, or 0."
    shutil.rmtree(scratch, ignore_errors=True)
    site = scratch/'html/site'
    if failed := prepare() or sphinx('html', work/'pages', site, scratch): return failed
    if with_ebook and (failed := ebook(site, scratch)): return failed
    remove_notes(site)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(site, to)
    return 0

def again(to, scratch, names):
    "What a finished build in `scratch` read, prepared again; and a few pages, written again."
    chosen = [work/f'pages/{name}.{kind}' for name in names for kind in ('ipynb', 'md')]
    failed = prepare() or sphinx('html', work/'pages', to, scratch, *filter(Path.exists, chosen))
    remove_notes(to)
    return failed

def serve():
    "Warnings are only shown here: an unfinished sentence should not stop whoever is writing it."
    watch = [o for folder in ('nbs', 'mlfound', 'docs/theme') for o in ('--watch', root/folder)]
    before = f'"{sys.executable}" "{root/"docs/prepare.py"}"'
    return prepare() or run(sys.executable, '-m', 'sphinx_autobuild', '--port', '8000',
                            '--pre-build', before, *watch, '-q', '-c', root/'docs',
                            '-d', work/'serve/doctrees', work/'pages', work/'serve/html/site')

def main():
    if sys.argv[1:] == ['--serve']: return serve()
    to = Path(sys.argv[1]).resolve() if sys.argv[1:] else root/'_site'
    failed = build(to)
    if not failed: print(f'mlfound: the site is in {to}; open {to/"index.html"}')
    return failed

if __name__ == '__main__':
    try: sys.exit(main())
    except KeyboardInterrupt: sys.exit(0)
