"Run every check there is: `make test` calls this, and so does whoever has no make."
import os, subprocess, sys, sysconfig, tempfile
from pathlib import Path

root = Path(__file__).resolve().parents[1]
fastcore2 = root/'.fastcore2' # beside the environment, which nbdev holds at fastcore 1; tests/test_wheel.py uses it

def run(*command): return subprocess.run([str(c) for c in command], cwd=root).returncode

def main():
    "Get fastcore 2 unless it is there; then, without `--fetch`, the tests and the notebooks."
    if not fastcore2.exists() and run(sys.executable, '-m', 'pip', 'install', '-qq', '--disable-pip-version-check',
                                      '--no-deps', '--target', fastcore2, 'fastcore==2.2.39'): return 1
    if '--fetch' in sys.argv: return 0
    os.environ.setdefault('OMP_NUM_THREADS', '1') # tests and notebooks run side by side, and should not wait for each other's threads
    os.environ['MLFOUND_STRICT'] = '1' # an experiment that no longer gives the book's number is an error here
    os.environ['MATPLOTLIBRC'] = str(root/'nbs/matplotlibrc') # which Jupyter finds, and nbdev_test does not
    with tempfile.TemporaryFile('w+', encoding='utf-8') as said: # the notebooks run at the same time; what they say comes after the tests
        notebooks = subprocess.Popen([Path(sysconfig.get_path('scripts'))/'nbdev_test', '--timing'], cwd=root, stdout=said, stderr=subprocess.STDOUT)
        failed = run(sys.executable, '-m', 'pytest', '--quiet', '-n', str(min(4, os.cpu_count() or 1)), '--dist', 'loadfile')
        print('mlfound: the notebooks', flush=True)
        failed_notebooks = notebooks.wait()
        said.seek(0)
        print(said.read(), end='', flush=True)
    print('mlfound:', 'not everything passed, see above' if failed or failed_notebooks else 'every test and every notebook passed')
    return failed or failed_notebooks

if __name__ == '__main__': sys.exit(main())
