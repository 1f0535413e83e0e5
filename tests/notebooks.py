"""Run the notebooks as a reader has them who downloads them: each from top to bottom, alone in an
empty folder, with the library installed from its wheel. Every cell is a test. Called by
tests/run.py; names of notebooks may follow."""
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

def run_one(path):
    "Run a notebook in this process, and leave with what stopped it."
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell
    nb, shell = read_nb(path), CaptureShell(path)
    try: shell.run_all(nb, exc_stop=True, preproc=skipped)
    except BaseException: sys.exit(shell.prettytb(path))
    plt = sys.modules.get('matplotlib.pyplot')
    if plt and draws(nb) and plt.rcParams['svg.hashsalt'] != cfg['lib_name']:
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
    return os.environ | dict(PYTHONPATH=str(library), MLFOUND_STRICT='1', OMP_NUM_THREADS='1')

def run_alone(path, library):
    "Run this notebook in an empty folder, and print how that went; the exit code."
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)/path.name
        home = path.name == cfg['readme_nb'] # is no download: it stays where its links lead
        if not home: copy.write_text(download(path), encoding='utf-8')
        command = [sys.executable, __file__, '--one', str(path if home else copy.name)]
        done = subprocess.run(command, cwd=nbs if home else folder, env=environment(library),
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, encoding='utf-8', errors='replace')
    seconds, how = time.monotonic() - start, 'failed' if done.returncode else 'passed'
    said = done.stdout + done.stderr if done.returncode else ''
    print(f'{path.name:28}{seconds:6.0f} s  {how}\n{said}', end='', flush=True)
    return done.returncode

def main(names):
    "Several at a time, the largest first."
    paths = [nbs/n for n in names] or [*chapters(), nbs/cfg['readme_nb']]
    paths.sort(key=lambda p: -p.stat().st_size)
    workers = min(4, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        library = installed(Path(folder))
        return any([*pool.map(lambda path: run_alone(path, library), paths)])

if __name__ == '__main__':
    if sys.argv[1:2] == ['--one']: run_one(sys.argv[2])
    else: sys.exit(main(sys.argv[1:]))
