"The benchmarks run, and each page says what its file of figures says."
import importlib
import json
import sys
from types import SimpleNamespace

import pytest
import started
from conftest import root

folder = root/'benchmarks'
scripts = 'run', 'tape', 'training', 'scale', 'compiler'

def module(name):
    "A script, imported."
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))

def benchmark(name):
    "What a script measures."
    return module(name).benchmark

def names(figures):
    "The figures' names, without machine and numbers."
    if not isinstance(figures, dict):
        return None
    # of this run, or where they are installed
    other = "machine", "seed", "HIPS", "micrograd", "JAX", "torch.compile"
    return {k: names(v) for k, v in figures.items() if not k.startswith(other)}

pages = *scripts, 'conv', 'playground', 'attention', 'attention_training', 'doctor'

@pytest.mark.parametrize('name', pages)
def test_page(name):
    b = benchmark(name)
    figures = json.loads((folder/b.figures).read_text(encoding='utf-8'))
    page = (folder/b.name).read_text(encoding='utf-8')
    assert b.page(figures) == page, f'run benchmarks/{name}.py; the page is not that of the figures'

def test_device_page():
    figures = json.loads((folder/'results_device.json').read_text(encoding='utf-8'))
    page = (folder/'DEVICE.md').read_text(encoding='utf-8')
    assert module('device').page(figures) == page, 'run benchmarks/device.py on a device'
    assert not any(figures[k]['wrong'] for k in ('rules', 'training', 'torchrun')), page

@pytest.mark.parametrize('name', scripts)
def test_runs(name, tmp_path):
    "Quickly, with figures of no worth but of the same names."
    code, err, _ = started.typed('--quick', '--out', tmp_path, cwd=root, script=folder/f'{name}.py')
    assert code == 0, err
    b = benchmark(name)
    files = folder/b.figures, tmp_path/b.figures
    old, new = (json.loads(f.read_text(encoding="utf-8")) for f in files)
    assert names(old) == names(new)
    assert (tmp_path/b.name).read_text(encoding='utf-8') == b.page(new)

def test_imports_are_measured_in_a_process_that_has_not_loaded_torch():
    with pytest.raises(RuntimeError, match='torch is loaded already'):
        module('run').imports(SimpleNamespace(quick=False))
    measured = json.loads((folder/'results.json').read_text(encoding='utf-8'))['imports']
    assert measured['torch']['low'] > .1, 'torch takes longer; it was loaded before'

def test_windows_keep_less_than_pytorch():
    ours, theirs = module('conv').memory(None).values()
    assert 0 < ours < theirs / 2
