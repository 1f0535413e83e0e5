"What a user gets who installs the wheel: with the fastcore that nbdev needs, and with the next."

import json, re, sys, sysconfig, zipfile
import pytest
from book import outside_code # docs/ is on the path
from packaging.metadata import Metadata
from conftest import copy_tree, modules, root, run, settings


def build(tmp, *options):
    "The wheel that `python -m build` makes of a copy of the tree, and the contents of its files."
    run(
        sys.executable,
        '-m',
        'build',
        '--no-isolation',
        *options,
        '--outdir',
        tmp / 'dist',
        copy_tree(tmp / 'copy'),
    )
    (wheel,) = (tmp / 'dist').glob('*.whl')
    with zipfile.ZipFile(wheel) as z:
        return wheel, {n: z.read(n) for n in z.namelist()}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp('wheel'), '--wheel')


def test_contents(wheel):
    "The modules, the data, the licence, and nothing else."
    names = set(wheel[1])
    info = f"mlfound-{settings()['version']}.dist-info/"
    want = {
        p.relative_to(root).as_posix()
        for p in (root / 'mlfound').rglob('*')
        if p.is_file() and '__pycache__' not in p.parts
    }
    assert {n for n in names if not n.startswith(info)} == want
    assert f'{info}licenses/LICENSE' in names


def test_metadata(wheel):
    "What the package index checks of a file, and where the links of its page lead."
    info = next(text for name, text in wheel[1].items() if name.endswith('METADATA'))
    said = Metadata.from_email(info, validate=True)
    assert str(said.version) == settings()['version'] and said.license_files == ['LICENSE']
    links = re.findall(r'(!?)\[[^]]*\]\(([^)#]+)', outside_code(said.description, str))
    ours = [l for l in links if l[1].startswith(settings()['git_url'])]
    assert len(ours) > 50 and all(target.startswith('https://') for _, target in links)
    for image, target in ours:
        kind, tag, path = target.removeprefix(settings()['git_url'] + '/').split('/', 2)
        assert kind == ('raw' if image else 'blob') and tag == f"v{settings()['version']}"
        assert (root / path).exists(), path


def test_sdist_gives_the_same_wheel(wheel, tmp_path):
    record = next(
        n for n in wheel[1] if n.endswith('RECORD')
    )  # lists the others, in the order in which they were packed
    assert build(tmp_path)[1] | {record: b''} == wheel[1] | {record: b''}


def environment(env, first):
    "The Python of a new environment; packages are lent to it from `first` and from this one."
    run(sys.executable, '-m', 'venv', '--without-pip', env)
    (site,) = {*env.glob('lib/python*/site-packages'), *env.glob('Lib/site-packages')}
    (site / 'lent.pth').write_text('\n'.join([*first, sysconfig.get_path('purelib')]))
    return env / ('Scripts' if sys.platform == 'win32' else 'bin') / 'python'


def install(python, *what, **more):
    "Into the environment of `python`, with the pip of this one, whatever this one has itself."
    pip = sys.executable, '-m', 'pip', '--python', python
    run(*pip, 'install', '--quiet', '--no-deps', '--no-index', '--ignore-installed', *what, **more)


@pytest.fixture(scope='module', params=[1, 2], ids='fastcore-{}'.format)
def installed(wheel, tmp_path_factory, request):
    "A function that runs a command of a new environment with one of two versions of fastcore."
    env = tmp_path_factory.mktemp('env')
    python = environment(env, [str(root / '.fastcore2')] if request.param == 2 else [])
    install(python, wheel[0])

    def call(command, *args):
        return run(python.parent / command, *args, cwd=env)

    call.major = request.param
    return call


def test_requirements_satisfied(installed):
    code = '''
from importlib.metadata import requires, version
from packaging.requirements import Requirement
for r in map(Requirement, requires("mlfound")):
    if not r.marker: assert version(r.name) in r.specifier, f"{r.name} {version(r.name)} is not {r}"
print(version("fastcore"))'''
    assert installed('python', '-c', code).startswith(f'{installed.major}.')


def test_every_module(installed):
    "And the digits come with the wheel."
    code = '''
import importlib, json, pkgutil, sys, mlfound
assert mlfound.__file__.startswith(sys.prefix), mlfound.__file__
names = [m.name for m in pkgutil.iter_modules(mlfound.__path__) if m.name[0] != "_"]
for n in names: importlib.import_module(f"mlfound.{n}")
print(json.dumps([sorted(names), [tuple(s.x.shape) for s in mlfound.mnist()]]))'''
    names, shapes = json.loads(installed('python', '-c', code))
    assert names == modules() and shapes == [[n, 784] for n in (50000, 10000, 10000)]


def test_command(installed):
    said = installed('mlfound', 'check', '--rounds', '0', '--digits', '100')
    assert f"mlfound {settings()['version']}" in said and 'all gradients agree' in said


def test_pytest_finds_the_plugin(installed, tmp_path):
    "A failing test prints the findings; torch is loaded by whoever asks for it, not before."
    if installed.major == 2:
        pytest.skip('once is enough')
    plain, rule = tmp_path / 'test_plain.py', tmp_path / 'test_rule.py'
    plain.write_text('def test_it(): pass\n')
    rule.write_text("""import torch
from mlfound.doctor import assert_gradients
def test_rule(): assert_gradients((torch.sin, lambda g, x: -g*x.cos()), torch.ones(2))
""")
    code = f'''
import sys, pytest
options = "-q", "-p", "no:cacheprovider", "--rootdir", {str(tmp_path)!r}
print("plain:", int(pytest.main([*options, {str(plain)!r}])), "torch" in sys.modules)
print("rule:", int(pytest.main([*options, {str(rule)!r}])))'''
    said = installed('python', '-c', code)
    assert 'plain: 0 False' in said and 'rule: 1' in said, said
    assert 'FAULT   every entry' in said and 'fits: the sign: its negative is right' in said
    assert 'Traceback' not in said and 'def assert_gradients' not in said


def test_editable_beside_a_folder_of_that_name(tmp_path):
    "Started beside the clone, Python does not take the clone's folder for the library."
    clone = copy_tree(tmp_path / 'mlfound')
    python = environment(tmp_path / 'env', [])
    install(python, '--no-build-isolation', '--editable', clone, cwd=tmp_path)
    code = 'import mlfound as m; print(m.__version__, len(m.mnist().train.x))'
    assert run(python, '-c', code, cwd=tmp_path).split() == [settings()['version'], '50000']
