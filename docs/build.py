"Build the site into _site/, or into a folder that is named; warnings are errors. With `--serve`, show it, and build it again on change."
import os, shutil, subprocess, sys
from pathlib import Path

root = Path(__file__).resolve().parents[1]
work = root/'_proc'

def run(*command):
    "The command's exit code. The order of Python's sets must not show in a page."
    return subprocess.run([str(c) for c in command], cwd=root, env=os.environ | dict(PYTHONPATH=str(root), PYTHONHASHSEED='0')).returncode

def prepare(): return run(sys.executable, root/'docs/prepare.py')

def build(to=root/'_site', scratch=work/'build'):
    "Build everything afresh, next to the site's place, then put it there. The exit code of what failed, or 0."
    shutil.rmtree(scratch, ignore_errors=True)
    if failed := prepare() or run(sys.executable, '-m', 'sphinx', '-b', 'html', '-W', '--keep-going', '-q', '-c', root/'docs',
                                  '-d', scratch/'doctrees', work/'pages', scratch/'html/site'): return failed
    for left in '.buildinfo', '_sources', 'searchindex.js': # the builder's notes to itself, and an index that search.js does not use
        path = scratch/'html/site'/left
        if path.is_dir(): shutil.rmtree(path)
        else: path.unlink(missing_ok=True)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(scratch/'html/site', to)
    return 0

def serve():
    "Warnings are only shown here: an unfinished sentence should not stop whoever is writing it."
    watch = [o for folder in ('nbs', 'mlfound', 'docs/theme') for o in ('--watch', root/folder)]
    return prepare() or run(sys.executable, '-m', 'sphinx_autobuild', '--port', '8000', '--pre-build', f'"{sys.executable}" "{root/"docs/prepare.py"}"',
                            *watch, '-q', '-c', root/'docs', '-d', work/'serve/doctrees', work/'pages', work/'serve/html/site')

def main():
    if sys.argv[1:] == ['--serve']: return serve()
    to = Path(sys.argv[1]).resolve() if sys.argv[1:] else root/'_site'
    failed = build(to)
    if not failed: print(f'mlfound: the site is in {to}; open {to/"index.html"}')
    return failed

if __name__ == '__main__':
    try: sys.exit(main())
    except KeyboardInterrupt: sys.exit(0)
