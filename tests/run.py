"""Run every check there is: `make test` calls this, and so does whoever has no make. Where there is
much of a kind, a sample of it; `python tests/run.py --all` takes all, in less than an hour."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from longer import LONGER

root = Path(__file__).resolve().parents[1]
fastcore2 = root/'.fastcore2' # for tests/test_wheel.py; nbdev holds the environment at fastcore 1

def run(*command): return subprocess.run([str(c) for c in command], cwd=root).returncode

def fetch():
    "Get fastcore 2 unless it is there."
    if fastcore2.exists(): return 0
    return run(sys.executable, '-m', 'pip', 'install', '-qq', '--disable-pip-version-check',
               '--no-deps', '--target', fastcore2, 'fastcore==2.2.39')

def main():
    "The tests, and beside them the notebooks; what those say comes after the tests."
    if failed := fetch(): return failed
    if '--fetch' in sys.argv: return 0
    if '--all' in sys.argv: os.environ |= LONGER | os.environ
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None) # or each process compiles the library anew
    os.environ.setdefault('OMP_NUM_THREADS', '1') # so that nobody waits for another's threads
    with tempfile.TemporaryFile('w+', encoding='utf-8') as said:
        command = [sys.executable, root/'tests/notebooks.py']
        notebooks = subprocess.Popen(command, cwd=root, stdout=said, stderr=subprocess.STDOUT)
        workers = str(min(4, os.cpu_count() or 1))
        in_order = '--dist', 'loadfile', '--no-loadscope-reorder' # that of tests/conftest.py
        failed = run(sys.executable, '-m', 'pytest', '--quiet', '-n', workers, *in_order)
        print('mlfound: the notebooks', flush=True)
        failed_notebooks = notebooks.wait()
        said.seek(0)
        print(said.read(), end='', flush=True)
    failed = failed or failed_notebooks
    passed = 'every test and every notebook passed'
    print('mlfound:', 'not everything passed, see above' if failed else passed)
    return failed

if __name__ == '__main__': sys.exit(main())
