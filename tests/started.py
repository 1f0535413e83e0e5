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

def run_here(script, args, cwd, env, said, limit):
    "Run the command, or a script, in this process, which was made for it."
    for stream, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream)
    if limit is not None:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.environ |= env
    os.chdir(cwd)
    sys.argv[1:], sys.path[:0] = args, [str(cwd), str(root)]
    if script: # which Python would have told where it is
        sys.argv[0], sys.path[0] = str(script), str(Path(script).parent)
        runpy.run_path(str(script), run_name='__main__')
        return
    warnings.simplefilter('error', ResourceWarning)
    runpy.run_module('mlfound', run_name='__main__', alter_sys=True)

def forks(): return 'forkserver' in multiprocessing.get_all_start_methods()

def begin(script, args, cwd, env, said, limit=None):
    "A process that runs the command, or a script; the files `said` get its output and its errors."
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(LOADED)
    told = script, [*map(str, args)], cwd, dict(env), said, limit
    process = context.Process(target=run_here, args=told)
    process.start()
    return process

def typed(*args, cwd, env=(), limit=None, stdout=None, stderr=None, script=None):
    """Exit code, standard error and output of `mlfound ARGS`, or of `python SCRIPT ARGS`; `limit`
    is the largest file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)/'out', Path(folder)/'err'
        for path in own: path.touch()
        said = stdout or own[0], stderr or own[1]
        process = begin(script, args, cwd, env, said, limit)
        process.join(120)
        process.kill()
        out, err = (path.read_text(encoding='utf-8') for path in own)
    return process.exitcode, err, out
