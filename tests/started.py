"""The command in a process of its own, which need not load PyTorch first: where the platform can
copy a process, it is a copy of one that has. Of this library that one has loaded nothing.

For what a started Python decides (streams that are closed, their encoding, Ctrl-C while libraries
load) tests/test_command.py starts one."""
import multiprocessing
import os
import runpy
import sys
import tempfile
import warnings
from pathlib import Path

root = Path(__file__).resolve().parents[1]
LOADED = 'torch', 'numpy', 'matplotlib.pyplot', 'PIL.Image'

def run_here(args, cwd, env, said, limit):
    "Run the command in this process, which was made for it."
    for stream, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY), stream)
    if limit is not None:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.environ |= env
    os.chdir(cwd)
    sys.argv[1:], sys.path[:0] = args, [str(cwd), str(root)]
    warnings.simplefilter('error', ResourceWarning)
    runpy.run_module('mlfound', run_name='__main__', alter_sys=True)

def forks(): return 'forkserver' in multiprocessing.get_all_start_methods()

def typed(*args, cwd, env=(), limit=None, stdout=None, stderr=None):
    "Exit code, standard error and output of `mlfound ARGS`; `limit` is the largest file's bytes."
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(LOADED)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)/'out', Path(folder)/'err'
        for path in own: path.touch()
        said = stdout or own[0], stderr or own[1]
        process = context.Process(target=run_here, args=(args, cwd, dict(env), said, limit))
        process.start()
        process.join(120)
        process.kill()
        out, err = (path.read_text(encoding='utf-8') for path in own)
    return process.exitcode, err, out
