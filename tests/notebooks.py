"""Run the notebooks as a reader has them who downloads them: each from top to bottom, alone in an
empty folder, with the library installed from its wheel. Every cell is a test. Called by
tests/run.py; names of notebooks may follow.

Each runs in a process of its own. Where the platform can copy a process, these are copies of one
that has PyTorch and the other large packages loaded, but nothing of this library: to load them for
every notebook would take a sixth of the time.
"""
import gc
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(root/'docs'))
from book import cfg, chapters, nbs # noqa: E402 (docs/ is on the path now)
from conftest import copy_tree # noqa: E402
from prepare import download # noqa: E402

def skipped(cell):
    "What a reader does not run, either."
    return cell.cell_type != 'code' or '#| eval: false' in cell.source

def draws(nb):
    "Did running the notebook show a picture?"
    outputs = [o for cell in nb.cells for o in cell.get('outputs', [])]
    return any(kind.startswith('image/') for o in outputs for kind in o.get('data', {}))

def seed():
    """Every generator that a cell may draw from begins somewhere else in each process: here all
    begin at the same place, so that a test run says the same twice."""
    import random
    import numpy
    import torch
    random.seed(417)
    numpy.random.seed(417)
    torch.manual_seed(417)

def run_one(path, said):
    "Run a notebook in this process; what it prints and what stopped it goes to the file `said`."
    with open(said, 'w') as f:
        for stream in 1, 2: os.dup2(f.fileno(), stream)
    gc.freeze() # what is loaded stays: no need to look through it for garbage again and again
    library = os.environ['PYTHONPATH']
    def foreign(p): return 'site-packages' in p or not p.startswith(str(root))
    sys.path[:] = [library, *filter(foreign, sys.path)]
    os.chdir(Path(path).parent)
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell
    nb, shell = read_nb(path), CaptureShell(path)
    seed()
    try: shell.run_all(nb, exc_stop=True, preproc=skipped)
    except BaseException: sys.exit(shell.prettytb(path))
    ours = sys.modules.get('mlfound')
    if ours and not ours.__file__.startswith(library): sys.exit(f'{path}: not the wheel\'s library')
    import matplotlib.pyplot as plt
    plots = any('matplotlib' in cell.source for cell in nb.cells if cell.cell_type == 'code')
    if plots and draws(nb) and plt.rcParams['svg.hashsalt'] != cfg['lib_name']:
        sys.exit(f"{path}: draws without the book's style; "
                 "call plt.style.use('mlfound.assets.book')")

def installed(folder):
    "The library as its wheel installs it, in a folder of its own."
    pip = [sys.executable, '-m', 'pip', 'install', '-qq', '--disable-pip-version-check',
           '--no-deps', '--no-index', '--no-build-isolation',
           '--target', folder/'library', copy_tree(folder/'copy')]
    subprocess.run([str(p) for p in pip], check=True)
    return folder/'library'

def environment(library):
    "Only the wheel's library, one thread each, and an error where an outcome is not the book's."
    return dict(PYTHONPATH=str(library), MLFOUND_STRICT='1', OMP_NUM_THREADS='1')

def prepared():
    "What starts a process for a notebook."
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['__main__', *LARGE])
    return context

LARGE = ['torch', 'numpy', 'matplotlib.pyplot', 'sympy', 'IPython', 'execnb.shell']

def run_alone(path, context):
    "Run this notebook in an empty folder, and print how that went; the exit code."
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as said:
        copy = Path(folder)/path.name
        home = path.name == cfg['readme_nb'] # is no download: it stays where its links lead
        if not home: copy.write_text(download(path), encoding='utf-8')
        process = context.Process(target=run_one, args=(str(path if home else copy), said.name))
        process.start()
        process.join()
        text = Path(said.name).read_text(encoding='utf-8', errors='replace')
    seconds, how = time.monotonic() - start, 'failed' if process.exitcode else 'passed'
    print(f'{path.name:28}{seconds:6.0f} s  {how}\n{text if process.exitcode else ""}',
          end='', flush=True)
    return process.exitcode

LONGEST = '08 07 20 16 49 13 10 69 05 11 66 06 19'.split() # more than 10 s each

def place(path):
    "The longest first, and then the largest, so that no worker is left alone with one."
    number = path.name[:2]
    return LONGEST.index(number) if number in LONGEST else len(LONGEST), -path.stat().st_size

def main(names):
    "Several at a time."
    paths = [nbs/n for n in names] or [*chapters(), nbs/cfg['readme_nb']]
    paths.sort(key=place)
    workers = min(4, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        os.environ |= environment(installed(Path(folder)))
        context = prepared()
        return any([*pool.map(lambda path: run_alone(path, context), paths)])

if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
