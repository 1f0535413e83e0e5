"Run the notebooks afresh, all or those that are named, and save what they print and draw."
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

nbs = Path(__file__).resolve().parents[1]/'nbs'

def skipped(cell):
    "What nbdev_test does not run, either."
    return cell.cell_type != 'code' or '#| eval: false' in cell.source

def describe(cell):
    """Let a figure say in words what it shows, which is what Jupyter shows of a drawing in a
    notebook that it does not trust."""
    alt = re.search(r'^#\|\s*fig-alt:\s*(.+)$', ''.join(cell['source']), re.M)
    for output in cell['outputs'] if alt else []:
        data = output.get('data', {})
        if not {'image/svg+xml', 'image/png'} & {*data}: continue
        words = f'Figure: {alt[1].strip()} Run the cell, or trust the notebook, to see it.'
        lines = textwrap.wrap(words, 90)
        data['text/plain'] = [*(f'{line}\n' for line in lines[:-1]), lines[-1]]

def run(name):
    "Run one notebook where it stands, and save it only if no cell stops."
    from execnb.nbio import read_nb, write_nb
    from execnb.shell import CaptureShell
    os.chdir(nbs)
    nb, shell = read_nb(name), CaptureShell(name)
    for cell in nb.cells: # execnb would leave what a cell printed last time
        if not skipped(cell): cell.outputs = []
    try: shell.run_all(nb, exc_stop=True, preproc=skipped)
    except BaseException: sys.exit(shell.prettytb(name))
    for cell in nb.cells:
        if not skipped(cell): describe(cell)
    write_nb(nb, name)

def main():
    "Each notebook gets a process of its own, one after another: nothing of one reaches the next."
    os.environ['SOURCE_DATE_EPOCH'] = '0' # or SVG figures would hold the time of day
    os.environ['MLFOUND_STRICT'] = '1' # where an outcome is not the book's, stop
    os.environ['OMP_NUM_THREADS'] = '1' # the number of threads is printed, and sums depend on it
    for name in sys.argv[1:] or sorted(p.name for p in nbs.glob('*.ipynb')):
        print('mlfound: running', name, flush=True)
        command = [sys.executable, __file__, '--one', name]
        if failed := subprocess.run(command).returncode: return failed

if __name__ == '__main__': sys.exit(run(sys.argv[2]) if sys.argv[1:2] == ['--one'] else main())
