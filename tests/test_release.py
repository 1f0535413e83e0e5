"The version stands in settings.ini, what else names one agrees; a release is built from a tag."
import re
import subprocess
import sys

import mlfound
import yaml
from conftest import root, settings

def text(name):
    return (root/name).read_text(encoding='utf-8')

def test_library_and_change_log():
    versions = re.findall(r'^## (\S+)', text('CHANGELOG.md'), re.M)
    assert versions[0] == mlfound.__version__ == settings()['version']
    assert versions == sorted(versions, key=lambda v: [int(n) for n in v.split('.')], reverse=True)

def test_no_second_place():
    "A file that named the version would have to be remembered at every release."
    known = {'settings.ini', 'mlfound/__init__.py', 'CHANGELOG.md'}
    kinds = '*.cff', '*.toml', '*.py', '*.md'
    command = 'git', 'grep', '-lwF', settings()['version'], '--', *kinds
    said = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert set(said.stdout.split()) <= known, said.stdout

def test_citation():
    cite = yaml.safe_load(text('CITATION.cff'))
    needed = {'cff-version', 'message', 'title', 'authors'} # by the format's schema
    assert needed <= set(cite) and 'version' not in cite
    assert ' AND '.join(cite['license']) == settings()['license']
    where = f"{settings()['user']}/{settings()['repo']}"
    assert cite['repository-code'] == f'https://github.com/{where}'

def test_tried_on_every_python():
    jobs = yaml.safe_load(text('.github/workflows/release.yaml'))['jobs']
    low, high = (int(settings()[k].split('.')[1]) for k in ('min_python', 'max_python'))
    assert jobs['try']['strategy']['matrix']['python'] == [f'3.{k}' for k in range(low, high+1)]
    assert jobs['publish']['permissions'] == {'id-token': 'write'}

def test_tag():
    "The step that compares the tag with the version, tried with a right and a wrong one."
    steps = yaml.safe_load(text('.github/workflows/release.yaml'))['jobs']['build']['steps']
    step = next(s['run'] for s in steps if s.get('name') == 'The tag is the version')
    def passes(tag):
        env = dict(GITHUB_REF_NAME=tag, PATH='/usr/bin:/bin')
        return not subprocess.run(['sh', '-c', step], cwd=root, env=env).returncode
    if sys.platform != 'win32':
        assert passes(f"v{settings()['version']}") and not passes('v9.9.9')
