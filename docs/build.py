"""Build the site into _site/, or into a folder that is named; warnings are errors.

    python docs/build.py [FOLDER]       the site, with the e-book of the path in it
    python docs/build.py --serve        shows the site, and builds it again on change
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[1]
work = root/'_proc'

def run(*command):
    "The command's exit code. The order of Python's sets must not show in a page."
    env = os.environ | dict(PYTHONPATH=str(root), PYTHONHASHSEED='0')
    return subprocess.run([str(c) for c in command], cwd=root, env=env).returncode

def prepare(): return run(sys.executable, root/'docs/prepare.py')

def sphinx(builder, to, scratch):
    "Sphinx's exit code. It starts afresh, so that a site depends on nothing but the notebooks."
    return run(sys.executable, '-m', 'sphinx', '-b', builder, '-W', '--keep-going', '-q', '-c', root/'docs',
               '-d', scratch/f'doctrees-{builder}', work/'pages', to)

def remove_notes(site):
    "What the builder writes for itself, and an index that search.js does not use."
    shutil.rmtree(site/'_sources', ignore_errors=True)
    for name in '.buildinfo', 'searchindex.js': (site/name).unlink(missing_ok=True)

def build(to=root/'_site', scratch=work/'build'):
    "Build everything next to the site's place, then put it there. The exit code of what failed, or 0."
    shutil.rmtree(scratch, ignore_errors=True)
    site = scratch/'html/site'
    if failed := prepare() or sphinx('html', site, scratch): return failed
    remove_notes(site)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(site, to)
    return 0

def serve():
    "Warnings are only shown here: an unfinished sentence should not stop whoever is writing it."
    watch = [o for folder in ('nbs', 'mlfound', 'docs/theme') for o in ('--watch', root/folder)]
    before = f'"{sys.executable}" "{root/"docs/prepare.py"}"'
    return prepare() or run(sys.executable, '-m', 'sphinx_autobuild', '--port', '8000', '--pre-build', before,
                            *watch, '-q', '-c', root/'docs', '-d', work/'serve/doctrees', work/'pages',
                            work/'serve/html/site')

def main():
    if sys.argv[1:] == ['--serve']: return serve()
    to = Path(sys.argv[1]).resolve() if sys.argv[1:] else root/'_site'
    failed = build(to)
    if not failed: print(f'mlfound: the site is in {to}; open {to/"index.html"}')
    return failed

if __name__ == '__main__':
    try: sys.exit(main())
    except KeyboardInterrupt: sys.exit(0)
